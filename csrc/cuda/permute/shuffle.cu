// The shuffle of columns whose chains fit shared memory. A warp takes 32 neighbouring columns of a copy, a lane each: it follows
// their chains of row numbers, drawing ahead, then writes the rows of the result, whose items it picks from the panel of x that all
// warps of the block share. Where a column has too many rows for that, panels are narrower, and in the end x is read where it lies.
//
// What 64 copies of 512 x 16384 float32 should take on an H200 (132 multiprocessors at 1.75 GHz or more): 127,000 rows of 32 columns
// a multiprocessor. The panel is 64 KiB and the chains of a warp are 32 KiB, so five warps run. By the compiled code a row of a warp
// takes 26 issue slots of drawing and following and 8 of writing: 127,000 * 34 / 4 schedulers = 1.1 M cycles, 0.6 ms. By latency a
// warp takes some 28 cycles a row (half of two loads, two selections and the stores behind them), then 12 to write one; a fifth of
// that is 1.0 M cycles. Writing 2.1 GB at 4 TB/s takes 0.54 ms.
#include "permute/chains.cuh"
#include "permute/panels.cuh"

namespace dualwalk::cuda {
namespace {

constexpr unsigned MOST_WARPS = 8;
constexpr std::size_t WARPS_WANTED = 2;  // of a multiprocessor: one alone leaves it idle while its chains wait
constexpr std::size_t MOST_BLOCKS = 0x7FFFFFFF;  // along x; a loop takes what is left

// Pairs of rows of the result, every groups()-th of a column: all are read before the first is written.
template <unsigned PAIRS, class Item, bool STAGED>
__device__ __forceinline__ void write_pairs(const ushort2* sources, const Column<Item, STAGED>& x, Item* to,
                                            std::size_t to_row, std::size_t to_pair) {
  Item first[PAIRS], second[PAIRS];
#pragma unroll
  for (unsigned i = 0; i < PAIRS; ++i, sources += WARP) {
    const std::uint32_t pair = bits_as<std::uint32_t>(*sources);
    first[i] = x[pair & 0xFFFF];
    second[i] = x[pair >> 16];
  }
#pragma unroll
  for (unsigned i = 0; i < PAIRS; ++i, to += to_pair) {
    *to = first[i];
    to[to_row] = second[i];
  }
}

// The rows of a column that this lane has a share of.
template <class Item, bool STAGED>
__device__ __forceinline__ void write_rows(const Permutation& job, const Chains& chains, const Column<Item, STAGED>& x, std::size_t copy,
                                           std::size_t column) {
  constexpr unsigned PAIRS = sizeof(Item) <= 8 ? 8 : 4;
  const unsigned n_rows = static_cast<unsigned>(job.n_rows), step = 2 * chains.groups();  // WARP pairs of all columns
  const std::size_t to_pair = step * job.n_columns;
  unsigned row = 2 * chains.group();
  const ushort2* sources = chains.at(row);
  Item* to = result_at<Item>(job, copy, row, column);
  for (; row + (PAIRS - 1) * step + 1 < n_rows; row += PAIRS * step, sources += PAIRS * WARP, to += PAIRS * to_pair)
    write_pairs<PAIRS>(sources, x, to, job.n_columns, to_pair);
  for (; row + 1 < n_rows; row += step, sources += WARP, to += to_pair) write_pairs<1>(sources, x, to, job.n_columns, to_pair);
  if (row < n_rows) *to = x[sources->x];
}

template <class Item, bool STAGED>
__global__ void __launch_bounds__(WARP * MOST_WARPS, 2) shuffle_kernel(Permutation job, Panels panels, std::size_t copies_a_block) {
  const unsigned warp = threadIdx.x / WARP;
  const Chains chains(reinterpret_cast<ushort2*>(shared<unsigned char>(panels.staged_bytes + warp * panels.store_bytes)),
                      static_cast<unsigned>(panels.width()), static_cast<unsigned>(job.n_rows));
  const std::size_t begin = blockIdx.y * copies_a_block, n_panels = panels.count(job);
  const std::size_t end = begin + copies_a_block < job.n_copies ? begin + copies_a_block : job.n_copies;
  for (std::size_t panel = blockIdx.x; panel < n_panels; panel += gridDim.x) {
    const std::size_t column = (panel << panels.width_bits) + (threadIdx.x & (panels.width() - 1));
    const bool inside = column < job.n_columns;
    const Column<Item, STAGED> x(job, panels, column);
    if (STAGED && inside) x.stage(threadIdx.x >> panels.width_bits, blockDim.x >> panels.width_bits, job.n_rows);
    for (std::size_t first = begin; first < end; first += panels.n_warps) {
      const std::size_t copy = first + warp;
      if (copy < end) {
        if (panels.width() == WARP) {
          if (inside) chains.draw_and_follow(stream_of(job, copy, column));
        } else {
          if (inside) chains.draw(stream_of(job, copy, column), 0);
          __syncwarp();
          if (inside && chains.group() == 0) chains.follow();
          __syncwarp();
        }
      }
      if (STAGED && first == begin) {  // x has come in the meantime
        wait_async();
        __syncthreads();
      }
      if (copy < end) {
        if (inside) write_rows<Item, STAGED>(job, chains, x, copy, column);
        __syncwarp();
      }
    }
    if (STAGED) __syncthreads();
  }
}

// The widest panels of which enough chains run at once, in shared memory where x fits beside them.
Panels panels_for(const Permutation& job, const Device& device) {
  const std::size_t copies = job.n_copies < WARPS_WANTED ? job.n_copies : WARPS_WANTED;  // that a block can work on at once
  const std::size_t blocks = (WARPS_WANTED + copies - 1) / copies;
  Panels panels{0, false, 1, 0, Chains::bytes(job.n_rows, 1)};
  const auto fits = [&](unsigned bits, bool staged) {
    const std::size_t x = staged ? staged_bytes(job, bits) : 0, store = Chains::bytes(job.n_rows, std::size_t{1} << bits);
    if (Chains::places(job.n_rows, std::size_t{1} << bits) > Chains::MOST_PLACES || x + copies * store > device.shared_block) return false;
    if (blocks * (x + copies * store + RESERVED_BYTES) > device.shared_multiprocessor) return false;
    panels = {bits, staged, 1, x, store};
    return true;
  };
  bool found = false;
  for (unsigned bits = widest_bits(job) + 1; bits-- > 0 && !found && fills_sectors(job, bits);) found = fits(bits, true);
  for (unsigned bits = widest_bits(job) + 1; bits-- > 0 && !found;) found = fits(bits, false);
  std::size_t warps = (device.shared_block - panels.staged_bytes) / panels.store_bytes;
  if (warps > job.n_copies) warps = job.n_copies;
  panels.n_warps = static_cast<unsigned>(warps < MOST_WARPS ? warps : MOST_WARPS);
  return panels;
}

}  // namespace

void shuffle(const Permutation& job, const Device& device, cudaStream_t stream) {
  const Panels panels = panels_for(job, device);
  const std::size_t n_panels = panels.count(job), parts = parts_of(n_panels, job.n_copies, panels, device);
  std::size_t copies = (job.n_copies + parts - 1) / parts;
  copies = (copies + panels.n_warps - 1) / panels.n_warps * panels.n_warps;
  const dim3 grid(static_cast<unsigned>(n_panels < MOST_BLOCKS ? n_panels : MOST_BLOCKS), static_cast<unsigned>((job.n_copies + copies - 1) / copies));
  const Shape shape{grid, WARP * panels.n_warps, panels.shared_bytes()};
  with_item(job, [&](auto item) {
    using Item = decltype(item);
    launch(JOB, panels.staged ? shuffle_kernel<Item, true> : shuffle_kernel<Item, false>, shape, stream, job, panels, copies);
  });
}

}  // namespace dualwalk::cuda
