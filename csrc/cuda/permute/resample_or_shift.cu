// Resampled and shifted columns: the source of every row is known without the rows before it, so warps share a panel's copies in
// pieces of rows, and the work is to move bytes. A panel of x in shared memory lets each lane take any row of its column; what does
// not fit is gathered from memory, where an item costs the 32 bytes it lies in.
#include "permute/panels.cuh"

namespace dualwalk::cuda {
namespace {

constexpr unsigned WARPS = 8;
constexpr std::size_t PIECE = 64;  // rows

template <class Item, bool STAGED>
__global__ void __launch_bounds__(WARP * WARPS, 4) rearrange_kernel(Permutation job, Panels panels, std::size_t units_a_block) {
  const unsigned lane = threadIdx.x % WARP, groups = WARP >> panels.width_bits, group = lane >> panels.width_bits;
  const std::size_t n_panels = panels.count(job), pieces = (job.n_rows + PIECE - 1) / PIECE;
  const std::size_t begin = blockIdx.x * units_a_block, all = pieces * job.n_copies;
  const std::size_t end = begin + units_a_block < all ? begin + units_a_block : all;
  const auto n_rows = static_cast<std::uint32_t>(job.n_rows);
  for (std::size_t panel = blockIdx.y; panel < n_panels; panel += gridDim.y) {
    const std::size_t column = (panel << panels.width_bits) + (lane & (panels.width() - 1));
    const bool inside = column < job.n_columns;
    const Column<Item, STAGED> x(job, panels, column);
    if (STAGED) {
      if (inside) x.stage(threadIdx.x >> panels.width_bits, blockDim.x >> panels.width_bits, job.n_rows);
      wait_async();
      __syncthreads();
    }
    for (std::size_t unit = begin + threadIdx.x / WARP; unit < end && inside; unit += WARPS) {
      const std::size_t copy = unit / pieces, first = unit % pieces * PIECE;
      const Stream stream = stream_of(job, copy, column);
      const bool resample = job.operation == RESAMPLE;
      const std::uint32_t shift = resample || n_rows < 2 ? 0 : 1 + draw_integer(stream, 0, n_rows - 1);
      const std::size_t last = first + PIECE < job.n_rows ? first + PIECE : job.n_rows;
      for (std::size_t row = first + 4 * group; row < last; row += 4 * groups) {
        Draws<1> source;
        if (resample) {
          source = draw_rows<1>(stream, row, 0, n_rows, 0);
        } else {
#pragma unroll
          for (unsigned k = 0; k < 4; ++k) {
            const std::size_t moved = row + k + shift;
            source.at[k] = static_cast<std::uint32_t>(moved < n_rows ? moved : moved - n_rows);
          }
        }
        Item item[4];
#pragma unroll
        for (unsigned k = 0; k < 4; ++k) item[k] = x[row + k < n_rows ? source.at[k] : 0];
        Item* const to = result_at<Item>(job, copy, row, column);
#pragma unroll
        for (unsigned k = 0; k < 4; ++k)
          if (row + k < n_rows) to[k * job.n_columns] = item[k];
      }
    }
    if (STAGED) __syncthreads();
  }
}

// The widest panels of which two fit a multiprocessor, so that one comes while the other goes; else one. What fits neither is read
// where it lies, by narrow panels: the parts of a panel run together, and what is read again is still in the cache.
Panels panels_for(const Permutation& job, const Device& device) {
  unsigned bits = widest_bits(job);
  for (std::size_t blocks = 2; blocks > 0; --blocks)
    for (bits = widest_bits(job);; --bits) {
      const std::size_t bytes = staged_bytes(job, bits);
      if (bytes <= device.shared_block && blocks * (bytes + RESERVED_BYTES) <= device.shared_multiprocessor) return {bits, true, WARPS, bytes, 0};
      if (bits == 0 || !fills_sectors(job, bits - 1)) break;
    }
  return {bits, false, WARPS, 0, 0};
}

}  // namespace

void resample_or_shift(const Permutation& job, const Device& device, cudaStream_t stream) {
  const Panels panels = panels_for(job, device);
  const std::size_t n_panels = panels.count(job), units = (job.n_rows + PIECE - 1) / PIECE * job.n_copies;
  const std::size_t parts = panels.staged ? parts_of(n_panels, units, panels, device) : units / WARPS;
  const std::size_t each = parts > 1 ? (units + parts - 1) / parts : units;
  const dim3 grid(static_cast<unsigned>((units + each - 1) / each), static_cast<unsigned>(n_panels < 65535 ? n_panels : 65535));
  const Shape shape{grid, WARP * WARPS, panels.shared_bytes()};
  with_item(job, [&](auto item) {
    using Item = decltype(item);
    launch(JOB, panels.staged ? rearrange_kernel<Item, true> : rearrange_kernel<Item, false>, shape, stream, job, panels, each);
  });
}

}  // namespace dualwalk::cuda
