// The node networks' jobs for Python; the arrays of NodeData come as a tuple (child, context, statistics, codes).
#include "nodes/nodes.hpp"

#include "array.hpp"
#include "module.hpp"

namespace dualwalk::cuda {
namespace {

constexpr std::int64_t MOST_INPUTS = 1 << 16, MOST_BATCH = std::int64_t{1} << 31;

template <class T>
NodeData<T> node_data(const py::tuple& parts, NodeSizes& sizes) {
  expect(parts.size() == 4, "data must be (child, context, statistics, codes)");
  const Array child(parts[0], "child"), context(parts[1], "context"), statistics(parts[2], "statistics"), codes(parts[3], "codes");
  expect(child.ndim() == 2, "child must be (n_nodes, n_rows)");
  expect(context.ndim() == 3 && context.shape(0) == child.shape(0) && context.shape(1) >= 2 && context.shape(2) == child.shape(1),
         "context must be (n_nodes, 2 or more, n_rows)");
  expect(statistics.ndim() == 2 && statistics.shape(0) == child.shape(0) && statistics.shape(1) >= 1,
         "statistics must be (n_nodes, 1 or more)");
  expect(context.shape(1) + statistics.shape(1) < MOST_INPUTS, "too many inputs");
  sizes.context = static_cast<std::size_t>(context.shape(1));
  sizes.statistics = static_cast<std::size_t>(statistics.shape(1));
  return {child.read<T>(), context.read<T>(), statistics.read<T>(), codes.read<std::uint8_t>(context.shape(1) + statistics.shape(1)),
          static_cast<std::size_t>(child.shape(0)), static_cast<std::size_t>(child.shape(1))};
}

// The hidden width that belongs to a flat network's length.
std::size_t hidden_width(std::int64_t length, const NodeSizes& sizes, bool contrastive) {
  const std::int64_t inputs = static_cast<std::int64_t>(sizes.context + sizes.statistics) + contrastive, outputs = contrastive ? 1 : 15;
  for (std::int64_t width = 16; width <= 4096; width += 16)
    if (width * (inputs + 1) + (width + outputs) * (width + 1) == length) return static_cast<std::size_t>(width);
  expect(false, "weights must be a flat network whose hidden width is a multiple of 16");
  return 0;
}

// (train, validation or None, weights, first, second, best or None, progress or None, nodes, rows, flips, shown, n_shifts).
template <class T>
NodeRun<T> node_run(const py::tuple& parts, NodeSteps<T>& steps) {
  expect(parts.size() == 12, "a run has twelve parts");
  NodeRun<T> run{};
  NodeSizes sizes{}, held_out{};
  run.train = node_data<T>(parts[0], sizes);
  const Array weights(parts[2], "weights"), nodes(parts[7], "nodes"), rows(parts[8], "rows"), flips(parts[9], "flips");
  run.weights = weights.write<T>();
  run.first = Array(parts[3], "first").write<T>(weights.size());
  run.second = Array(parts[4], "second").write<T>(weights.size());
  expect(nodes.ndim() == 2 && rows.ndim() == 2 && nodes.shape(0) == steps.n_steps && rows.shape(0) == steps.n_steps,
         "nodes, rows and flips must have a row a step");
  expect(nodes.shape(1) > 0 && rows.shape(1) > 0, "a step needs nodes and rows");
  run.nodes = nodes.read<std::int32_t>();
  run.rows = rows.read<std::int32_t>();
  run.flips = flips.read<std::uint8_t>(nodes.size());
  run.batch_nodes = static_cast<unsigned>(nodes.shape(1));
  run.batch_rows = static_cast<unsigned>(rows.shape(1));
  run.n_shifts = parts[11].cast<unsigned>();
  expect((run.n_shifts > 0) == steps.contrastive, "the networks of one call must be of one kind");
  expect(run.n_shifts <= run.batch_rows, "there must be no more shifts than rows");
  expect(run.n_shifts < 65536 && nodes.shape(1) * rows.shape(1) * (1 + std::int64_t{run.n_shifts}) < MOST_BATCH, "a step has too many pairs");
  sizes.hidden = hidden_width(weights.size(), sizes, steps.contrastive);
  expect(steps.sizes.hidden == 0 || (steps.sizes.hidden == sizes.hidden && steps.sizes.context == sizes.context &&
                                     steps.sizes.statistics == sizes.statistics),
         "the networks of one call must have one shape");
  steps.sizes = sizes;
  if (steps.check_every == 0) return run;
  run.validation = node_data<T>(parts[1], held_out);
  expect(held_out.context == sizes.context && held_out.statistics == sizes.statistics, "validation must have the inputs of train");
  run.shown = parts[10].cast<unsigned>();
  expect(run.shown > 0 && run.shown >= run.n_shifts && run.shown <= run.validation.n_rows && run.validation.n_nodes > 0,
         "shown must be rows of the validation, no fewer than shifts");
  run.best = Array(parts[5], "best").write<T>(weights.size());
  run.progress = Array(parts[6], "progress").write<double>(4);
  return run;
}

void train_nodes_job(const py::list& runs, const py::object& moves, double longest, bool base, bool contrastive, unsigned check_every,
                     unsigned patience, const py::tuple& here) {
  const Array table(moves, "moves");
  expect(table.ndim() == 2 && table.shape(1) == 3 && table.shape(0) < (std::int64_t{1} << 31), "moves must be (n_steps, 3)");
  with_float(table, [&](auto zero) {
    using T = decltype(zero);
    NodeSteps<T> steps{{}, contrastive, base, static_cast<unsigned>(table.shape(0)), table.read<T>(), longest, check_every, patience};
    std::vector<NodeRun<T>> all;
    for (const py::handle& run : runs) all.push_back(node_run<T>(run.cast<py::tuple>(), steps));
    Here workspace(here);
    train_nodes(all, steps, workspace, workspace.stream);
  });
}

void score_nodes_job(const py::object& weights, const py::tuple& data, std::int64_t n_rows, unsigned n_shifts, bool base,
                     const py::object& out, const py::tuple& here) {
  const Array flat(weights, "weights");
  with_float(flat, [&](auto zero) {
    using T = decltype(zero);
    NodeSizes sizes{};
    const NodeData<T> arrays = node_data<T>(data, sizes);
    sizes.hidden = hidden_width(flat.size(), sizes, n_shifts > 0);
    expect(n_rows > 0 && static_cast<std::size_t>(n_rows) <= arrays.n_rows && arrays.n_nodes > 0, "n_rows must be rows of the data");
    expect(static_cast<std::int64_t>(n_shifts) <= n_rows, "there must be no more shifts than rows");
    Here workspace(here);
    score_nodes(arrays, sizes, flat.read<T>(), static_cast<std::size_t>(n_rows), n_shifts, base, Array(out, "out").write<double>(1),
                workspace, workspace.stream);
  });
}

void node_terms_job(const py::object& weights, const py::tuple& data, const py::object& grid, const py::object& alphas,
                    const py::object& terms, const py::object& by_child, const py::object& by_context, bool contrastive, bool base,
                    const py::tuple& here) {
  const Array members(weights, "weights"), points(grid, "grid"), powers(alphas, "alphas");
  with_float(members, [&](auto zero) {
    using T = decltype(zero);
    NodeTerms<T> job{};
    job.data = node_data<T>(data, job.sizes);
    const auto n_pairs = static_cast<std::int64_t>(job.data.n_nodes * job.data.n_rows);
    expect(members.ndim() == 2 && members.shape(0) > 0 && members.shape(0) < 65536, "weights must be (n_members, n_weights)");
    job.sizes.hidden = hidden_width(members.shape(1), job.sizes, contrastive);
    expect(points.ndim() == 2 && points.shape(0) == static_cast<std::int64_t>(job.data.n_nodes) && points.shape(1) > 0 &&
               points.shape(1) < (1 << 24),
           "grid must be (n_nodes, n_grid)");
    expect(by_child.is_none() == by_context.is_none() && (by_child.is_none() || powers.size() == 1), "gradients go together, at one alpha");
    job.weights = members.read<T>();
    job.n_members = static_cast<unsigned>(members.shape(0));
    job.grid = points.read<T>();
    job.n_grid = static_cast<unsigned>(points.shape(1));
    job.alphas = powers.read<double>();
    job.n_alphas = static_cast<unsigned>(powers.size());
    job.terms = Array(terms, "terms").write<T>(powers.size() * n_pairs);
    job.by_child = write_or_null<T>(by_child, "by_child", n_pairs);
    job.by_context = write_or_null<T>(by_context, "by_context", n_pairs * static_cast<std::int64_t>(job.sizes.context));
    job.contrastive = contrastive;
    job.base = base;
    node_terms(job, Here(here).stream);
  });
}

}  // namespace

void bind_nodes(py::module_& m) {
  using py::arg;
  m.def("train_nodes", &train_nodes_job, arg("runs"), arg("moves"), arg("longest"), arg("base"), arg("contrastive"), arg("check_every"),
        arg("patience"), arg("here"));
  m.def("score_nodes", &score_nodes_job, arg("weights"), arg("data"), arg("n_rows"), arg("n_shifts"), arg("base"), arg("out"), arg("here"));
  m.def("node_terms", &node_terms_job, arg("weights"), arg("data"), arg("grid"), arg("alphas"), arg("terms"), arg("by_child"),
        arg("by_context"), arg("contrastive"), arg("base"), arg("here"));
}

}  // namespace dualwalk::cuda
