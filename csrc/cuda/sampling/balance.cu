// Columns brought to their marginals: a block sorts a column in shared memory (a bitonic network on entries that carry their
// row), and every rank takes its quantile. Longer columns are sorted in pieces, and pieces merged in pairs: an entry's place is
// its rank in its own piece plus that in the other, by bisection. No two entries are equal, so every right sort gives the same.
#include "device.hpp"
#include "sampling/sampling.hpp"

namespace dualwalk::cuda {
namespace {

constexpr unsigned MOST_THREADS = 1024, ITEM_THREADS = 256;
constexpr std::size_t SHARED_BYTES = 128 * 1024;  // of the entries of a piece

// A value as an unsigned number of the same order: -0 as 0, NaN after all others.
__device__ __forceinline__ std::uint32_t ordered(float value) {
  if (!(value == value)) return 0xFFFFFFFFu;
  const auto bits = bits_as<std::uint32_t>(value + 0.0f);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ std::uint64_t ordered(double value) {
  if (!(value == value)) return ~std::uint64_t{0};
  const auto bits = bits_as<std::uint64_t>(value + 0.0);
  return bits >> 63 ? ~bits : bits | std::uint64_t{1} << 63;
}

// A value and its row, compared by both: of equal values the first row is less. `none` is after every entry.
template <class T>
struct Entry;
template <>
struct Entry<float> {
  std::uint64_t both;
  static __device__ __forceinline__ Entry of(float value, std::size_t row) {
    return {std::uint64_t{ordered(value)} << 32 | row};
  }
  static __device__ __forceinline__ Entry none() { return {~std::uint64_t{0}}; }
  __device__ __forceinline__ std::size_t row() const { return both & 0xFFFFFFFFu; }
  __device__ __forceinline__ bool operator<(const Entry& other) const { return both < other.both; }
};
template <>
struct Entry<double> {
  std::uint64_t key, place;
  static __device__ __forceinline__ Entry of(double value, std::size_t row) { return {ordered(value), row}; }
  static __device__ __forceinline__ Entry none() { return {~std::uint64_t{0}, ~std::uint64_t{0}}; }
  __device__ __forceinline__ std::size_t row() const { return place; }
  __device__ __forceinline__ bool operator<(const Entry& other) const {
    return key < other.key || (key == other.key && place < other.place);
  }
};

// `size`, a power of two, entries in shared memory.
template <class T>
__device__ __forceinline__ void sort(Entry<T>* entries, std::size_t size) {
  for (std::size_t run = 2; run <= size; run *= 2)
    for (std::size_t distance = run / 2; distance > 0; distance /= 2) {
      __syncthreads();
      for (std::size_t pair = threadIdx.x; pair < size / 2; pair += blockDim.x) {
        const std::size_t low = 2 * pair - (pair & (distance - 1)), high = low + distance;
        const Entry<T> a = entries[low], b = entries[high];
        const bool rising = (low & run) == 0;
        if ((b < a) == rising) entries[low] = b, entries[high] = a;
      }
    }
  __syncthreads();
}

// The operations are kept apart: with the reference's roundings, the results are the reference's.
template <class T>
__device__ __forceinline__ void take_quantile(const Balance<T>& job, std::size_t column, std::size_t rank, std::size_t row) {
  const std::size_t last = job.n_quantiles - 1, steps = last > 0 ? last - 1 : 0;
  const double share_of_rows = __dadd_rn(static_cast<double>(rank), job.place[row]) / static_cast<double>(job.n_rows);
  double position = __dsub_rn(__dmul_rn(share_of_rows, static_cast<double>(job.n_quantiles)), 0.5);
  position = position < 0.0 ? 0.0 : position;
  position = position > static_cast<double>(last) ? static_cast<double>(last) : position;
  // a place that is no number reads nothing outside
  std::size_t lower = position >= 0.0 ? static_cast<std::size_t>(position) : 0;
  lower = lower < steps ? lower : steps;
  const double share = __dsub_rn(position, static_cast<double>(lower));
  const T low = job.table[lower * job.n_columns + column];
  const T high = job.table[(lower < last ? lower + 1 : last) * job.n_columns + column];
  const double between = __dadd_rn(static_cast<double>(low), __dmul_rn(share, static_cast<double>(high - low)));
  job.values[row * job.n_columns + column] = job.tied[column] ? (share >= 0.5 ? high : low) : static_cast<T>(between);
}

// Piece after piece of `size` entries: to `sorted` (n_columns, n_rows), or where that is null, a column being one piece, to
// values.
template <class T>
__global__ void __launch_bounds__(MOST_THREADS, 1) sort_kernel(Balance<T> job, std::size_t size, std::size_t n_pieces,
                                                               Entry<T>* sorted) {
  Entry<T>* const entries = shared<Entry<T>>();
  for (std::size_t task = blockIdx.x; task < job.n_columns * n_pieces; task += gridDim.x) {
    const std::size_t column = task / n_pieces, first = task % n_pieces * size, left = job.n_rows - first;
    const std::size_t n = left < size ? left : size;
    for (std::size_t i = threadIdx.x; i < size; i += blockDim.x)
      entries[i] = i < n ? Entry<T>::of(job.points[(first + i) * job.n_columns + column], first + i) : Entry<T>::none();
    sort(entries, size);
    for (std::size_t i = threadIdx.x; i < n; i += blockDim.x) {
      if (sorted)
        sorted[column * job.n_rows + first + i] = entries[i];
      else
        take_quantile(job, column, i, entries[i].row());
    }
    __syncthreads();  // the next piece has the same memory
  }
}

// Pairs of pieces of `size` entries into one.
template <class T>
__global__ void __launch_bounds__(ITEM_THREADS, 1) merge_kernel(Balance<T> job, std::size_t size, const Entry<T>* from,
                                                                Entry<T>* to) {
  const std::size_t m = job.n_rows, stride = std::size_t{gridDim.x} * ITEM_THREADS;
  for (std::size_t item = std::size_t{blockIdx.x} * ITEM_THREADS + threadIdx.x; item < job.n_columns * m; item += stride) {
    const std::size_t at = item % m, begin = at / size * size;
    const bool second = at / size % 2 == 1;
    const Entry<T>* const column = from + (item - at);
    const Entry<T> own = column[at];
    // the other piece of the pair, as far as there are rows
    const std::size_t other = second ? begin - size : begin + size < m ? begin + size : m;
    std::size_t low = other, high = other + size < m ? other + size : m;
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (column[middle] < own)
        low = middle + 1;
      else
        high = middle;
    }
    to[(item - at) + (second ? other : begin) + (at - begin) + (low - other)] = own;
  }
}

template <class T>
__global__ void __launch_bounds__(ITEM_THREADS, 1) quantile_kernel(Balance<T> job, const Entry<T>* sorted) {
  const std::size_t stride = std::size_t{gridDim.x} * ITEM_THREADS;
  const std::size_t n = job.n_columns * job.n_rows;
  for (std::size_t item = std::size_t{blockIdx.x} * ITEM_THREADS + threadIdx.x; item < n; item += stride)
    take_quantile(job, item / job.n_rows, item % job.n_rows, sorted[item].row());
}

unsigned at_most(std::size_t n) { return static_cast<unsigned>(n < 0x7FFFFFFF ? n : 0x7FFFFFFF); }

}  // namespace

template <class T>
void balance_columns(const Balance<T>& job, Workspace& workspace, cudaStream_t stream) {
  if (job.n_rows == 0 || job.n_columns == 0) return;
  const Device device = Device::current("balance_columns");
  const std::size_t room = (device.shared_block < SHARED_BYTES ? device.shared_block : SHARED_BYTES) / sizeof(Entry<T>);
  std::size_t size = 1;
  while (size < job.n_rows && 2 * size <= room) size *= 2;
  const std::size_t n_pieces = (job.n_rows + size - 1) / size, bytes = size * sizeof(Entry<T>);
  const std::size_t pairs = (size / 2 + 31) / 32 * 32, wanted = pairs < MOST_THREADS ? pairs : MOST_THREADS;
  const auto n_threads = static_cast<unsigned>(wanted > 32 ? wanted : 32);
  const std::size_t n = job.n_rows * job.n_columns;
  const dim3 tasks = at_most(job.n_columns * n_pieces), items = at_most((n + ITEM_THREADS - 1) / ITEM_THREADS);
  Entry<T>* from = nullptr;
  if (n_pieces > 1) from = workspace.take<Entry<T>>(n);
  launch("balance_columns", sort_kernel<T>, {tasks, n_threads, bytes}, stream, job, size, n_pieces, from);
  if (n_pieces == 1) return;
  for (Entry<T>* to = workspace.take<Entry<T>>(n); size < job.n_rows; size *= 2) {
    launch("balance_columns", merge_kernel<T>, {items, ITEM_THREADS}, stream, job, size, from, to);
    Entry<T>* const merged = to;
    to = from, from = merged;
  }
  launch("balance_columns", quantile_kernel<T>, {items, ITEM_THREADS}, stream, job, from);
}

template void balance_columns(const Balance<float>&, Workspace&, cudaStream_t);
template void balance_columns(const Balance<double>&, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
