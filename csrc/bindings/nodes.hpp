// Bindings of the node networks' jobs; the arrays of NodeData come one by one.
#pragma once

#include <algorithm>

#include "checks.hpp"
#include "kernels.hpp"
#include "running.hpp"

namespace dualwalk {

template <class T>
struct NodeArrays {
  Array<T> child, context, statistics;
  Array<std::uint8_t> codes;

  NodeData<T> view() const {
    expect(child.ndim() == 2, "child must be (n_nodes, n_rows)");
    expect(context.ndim() == 3 && context.shape(0) == child.shape(0) && context.shape(1) >= 2 && context.shape(2) == child.shape(1),
           "context must be (n_nodes, 2 or more, n_rows)");
    expect(statistics.ndim() == 2 && statistics.shape(0) == child.shape(0) && statistics.shape(1) >= 1,
           "statistics must be (n_nodes, 1 or more)");
    expect(has_shape(codes, {context.shape(1) + statistics.shape(1)}), "codes must have one number an input");
    return {child.data(), context.data(), statistics.data(), codes.data(),
            size(child, 0), size(child, 1), size(context, 1), size(statistics, 1)};
  }
  static std::size_t size(const py::array& array, int axis) { return static_cast<std::size_t>(array.shape(axis)); }
};

// The hidden width that belongs to a flat network's length.
inline std::size_t hidden_width(py::ssize_t length, std::size_t inputs, std::size_t outputs) {
  for (std::size_t width = 16; width <= 4096; width += 16) {
    const auto found = static_cast<py::ssize_t>(width * (inputs + 1) + (width + outputs) * (width + 1));
    if (found == length) return width;
    if (found > length) break;
  }
  expect(false, "weights must be a flat network whose hidden width is a multiple of 16");
  return 0;
}

template <class T>
std::size_t network_outputs(bool contrastive) {
  return contrastive ? 1 : 15;
}

inline void expect_below(const Array<std::int32_t>& numbers, py::ssize_t bound, const char* what) {
  const std::int32_t* const begin = numbers.data();
  expect(std::all_of(begin, begin + numbers.size(), [&](std::int32_t i) { return i >= 0 && i < bound; }), what);
}

constexpr std::size_t MOST_SHIFTS = 1 << 16;
inline bool with_shifts(std::size_t n_shifts) {
  expect(n_shifts <= MOST_SHIFTS, "n_shifts must be at most 65536");
  return n_shifts > 0;
}

template <class T>
void train_nodes(Array<T> weights, Array<T> first, Array<T> second, std::int64_t count, const Array<T>& child,
                 const Array<T>& context, const Array<T>& statistics, const Array<std::uint8_t>& codes,
                 const Array<std::int32_t>& nodes, const Array<std::int32_t>& rows, const Array<std::uint8_t>& flips,
                 const Array<double>& rates, double decay, double longest, std::size_t n_shifts, bool base, int n_threads) {
  const NodeData<T> data = NodeArrays<T>{child, context, statistics, codes}.view();
  const bool contrastive = with_shifts(n_shifts);
  const std::size_t hidden =
      hidden_width(weights.size(), data.n_context + data.n_statistics + contrastive, network_outputs<T>(contrastive));
  expect(weights.ndim() == 1 && same_shape(first, weights) && same_shape(second, weights), "weights must be 1-D, first and second like them");
  expect(nodes.ndim() == 2 && rows.ndim() == 2 && flips.ndim() == 2, "nodes, rows and flips must have a row a step");
  expect(nodes.shape(0) == rows.shape(0) && flips.shape(0) == nodes.shape(0) && flips.shape(1) == nodes.shape(1) &&
             has_shape(rates, {nodes.shape(0)}) && nodes.shape(1) > 0 && rows.shape(1) > 0,
         "nodes, rows, flips and rates must be about the same steps");
  expect(nodes.shape(0) < (py::ssize_t{1} << 31) && count >= 0 && count <= (std::int64_t{1} << 53), "too many steps");
  finite(decay, -HUGE_VAL, HUGE_VAL, "decay must be finite");
  finite(longest, -HUGE_VAL, HUGE_VAL, "longest must be finite");
  expect_below(nodes, child.shape(0), "nodes must be nodes of the data");
  expect_below(rows, child.shape(1), "rows must be rows of the data");
  expect_apart({weights, first, second}, {child, context, statistics, codes, nodes, rows, flips, rates});
  Signals signals;
  const NodeSteps<T> job{data,
                         weights.mutable_data(),
                         first.mutable_data(),
                         second.mutable_data(),
                         hidden,
                         count,
                         nodes.data(),
                         rows.data(),
                         flips.data(),
                         static_cast<std::size_t>(nodes.shape(0)),
                         static_cast<std::size_t>(nodes.shape(1)),
                         static_cast<std::size_t>(rows.shape(1)),
                         rates.data(),
                         decay,
                         longest,
                         n_shifts,
                         base,
                         threads(n_threads),
                         &Signals::poll,
                         &signals};
  run_released([&] { return active().of(T{}).train_nodes(job); });
}

template <class T>
double score_nodes(const Array<T>& weights, const Array<T>& child, const Array<T>& context, const Array<T>& statistics,
                   const Array<std::uint8_t>& codes, std::size_t n_rows, std::size_t n_shifts, bool base, int n_threads) {
  const NodeData<T> data = NodeArrays<T>{child, context, statistics, codes}.view();
  const bool contrastive = with_shifts(n_shifts);
  expect(weights.ndim() == 1 && data.n_nodes > 0, "weights must be 1-D, and of nodes there must be one");
  const std::size_t hidden =
      hidden_width(weights.size(), data.n_context + data.n_statistics + contrastive, network_outputs<T>(contrastive));
  expect(n_rows > 0 && n_rows <= data.n_rows, "n_rows must be rows of the data");
  NodeScore<T> job{data, weights.data(), hidden, n_rows, n_shifts, base, threads(n_threads), 0.0};
  run_released([&] { return active().of(T{}).score_nodes(job); });
  return job.value;
}

template <class T>
void node_terms(const Array<T>& weights, const Array<T>& child, const Array<T>& context, const Array<T>& statistics,
                const Array<std::uint8_t>& codes, const Array<T>& grid, const Array<double>& alphas, Array<T> terms,
                const py::object& by_child, const py::object& by_context, bool contrastive, bool base, int n_threads) {
  const NodeData<T> data = NodeArrays<T>{child, context, statistics, codes}.view();
  expect(weights.ndim() == 2 && weights.shape(0) > 0, "weights must be (n_members, n_weights)");
  const std::size_t hidden =
      hidden_width(weights.shape(1), data.n_context + data.n_statistics + contrastive, network_outputs<T>(contrastive));
  expect(grid.ndim() == 2 && grid.shape(0) == child.shape(0) && grid.shape(1) > 0, "grid must be (n_nodes, n_grid)");
  expect(alphas.ndim() == 1 && has_shape(terms, {alphas.size(), child.shape(0), child.shape(1)}),
         "terms must be (n_alphas, n_nodes, n_rows)");
  expect(by_child.is_none() == by_context.is_none() && (by_child.is_none() || alphas.size() == 1),
         "gradients go together, at one alpha");
  const Optional<T> child_slopes(by_child, child, "by_child must be like child");
  const Optional<T> context_slopes(by_context, context, "by_context must be like context");
  expect_apart({terms, child_slopes, context_slopes}, {weights, child, context, statistics, codes, grid, alphas});
  Signals signals;
  const NodeTerms<T> job{data,
                         weights.data(),
                         static_cast<std::size_t>(weights.shape(0)),
                         hidden,
                         grid.data(),
                         static_cast<std::size_t>(grid.shape(1)),
                         alphas.data(),
                         static_cast<std::size_t>(alphas.size()),
                         terms.mutable_data(),
                         child_slopes.mutable_data(),
                         context_slopes.mutable_data(),
                         contrastive,
                         base,
                         threads(n_threads),
                         &Signals::poll,
                         &signals};
  run_released([&] { return active().of(T{}).node_terms(job); });
}

template <class T>
void bind_nodes(py::module_& m) {
  using py::arg;
  m.def("train_nodes", &train_nodes<T>, arg("weights"), arg("first").noconvert(), arg("second"),
        arg("count").noconvert(), arg("child"), arg("context"), arg("statistics"), arg("codes"),
        arg("nodes"), arg("rows"), arg("flips"), arg("rates"), arg("decay"),
        arg("longest"), arg("n_shifts").noconvert(), arg("base").noconvert(), arg("n_threads").noconvert());
  m.def("score_nodes", &score_nodes<T>, arg("weights"), arg("child"), arg("context"),
        arg("statistics"), arg("codes"), arg("n_rows").noconvert(), arg("n_shifts").noconvert(), arg("base").noconvert(), arg("n_threads").noconvert());
  m.def("node_terms", &node_terms<T>, arg("weights"), arg("child"), arg("context"),
        arg("statistics"), arg("codes"), arg("grid"), arg("alphas"),
        arg("terms"), arg("by_child").none(true), arg("by_context").none(true), arg("contrastive").noconvert(), arg("base").noconvert(),
        arg("n_threads").noconvert());
}

}  // namespace dualwalk
