// The shuffle of more rows than a chain in shared memory takes (dualwalk/shuffle.hpp): rows are dealt into buckets, a warp shuffles
// each bucket, and the items are picked. A list is one column of one copy; its row numbers lie in two lists of memory borrowed for
// the call, so lists are taken a few at a time.
#include "permute/chains.cuh"
#include "permute/panels.cuh"

namespace dualwalk::cuda {
namespace {

constexpr std::size_t BORROWED_BYTES = std::size_t{256} << 20;  // one list may take more
constexpr std::size_t MOST_LISTS = 65536;
constexpr std::size_t CHUNK = 4096;                             // rows that one warp deals
constexpr std::size_t TOGETHER = 16 * WARP;                     // rows whose buckets are drawn at once, 16 of a counter
constexpr unsigned MOST_BUCKETS = 1u << MOST_BUCKET_BITS;
constexpr unsigned DEAL_WARPS = 4;
constexpr std::size_t DEAL_BYTES = MOST_BUCKETS * sizeof(std::uint32_t) + TOGETHER;  // of shared memory, a warp
constexpr unsigned TILE = 32, TILE_WARPS = 8, TILES_A_BLOCK = 8;

struct Lists {
  std::size_t first, count;  // list l is column l % n_columns of copy l / n_columns
  std::size_t n_chunks;
  std::uint32_t bits, n_buckets;
  std::uint32_t *dealt, *source;  // (count, n_rows): the rows bucket by bucket, then the source of every row
  std::uint32_t* counts;          // (count, n_chunks, n_buckets): of rows, then where a chunk's rows of a bucket begin
  std::uint32_t* starts;          // (count, n_buckets + 1) of the buckets
};

__device__ Stream stream_of_list(const Permutation& job, const Lists& lists, std::size_t list) {
  return stream_of(job, (lists.first + list) / job.n_columns, (lists.first + list) % job.n_columns);
}

// A warp deals a chunk of a list: counts its rows a bucket, or writes them where they belong, in their order.
template <bool WRITE>
__global__ void __launch_bounds__(WARP * DEAL_WARPS) deal_kernel(Permutation job, Lists lists) {
  const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, lower = (1u << lane) - 1;
  const std::size_t task = std::size_t{blockIdx.x} * DEAL_WARPS + warp, list = task / lists.n_chunks;
  if (list >= lists.count) return;
  std::uint32_t* const table = shared<std::uint32_t>(warp * DEAL_BYTES);  // rows so far, or the place of the next
  unsigned char* const drawn = shared<unsigned char>(warp * DEAL_BYTES + MOST_BUCKETS * sizeof(std::uint32_t));
  std::uint32_t* const counts = lists.counts + task * lists.n_buckets;
  for (unsigned b = lane; b < lists.n_buckets; b += WARP) table[b] = WRITE ? counts[b] : 0;
  Stream stream = stream_of_list(job, lists, list);
  stream.operation = DEAL;
  const std::size_t begin = task % lists.n_chunks * CHUNK, end = begin + CHUNK < job.n_rows ? begin + CHUNK : job.n_rows;
  for (std::size_t base = begin; base < end; base += TOGETHER) {
    const Words words = philox({{static_cast<std::uint32_t>(base / 16 + lane), stream.block, stream.copy, stream.operation}}, stream.seed);
    reinterpret_cast<uint4*>(drawn)[lane] = make_uint4(words.word[0], words.word[1], words.word[2], words.word[3]);
    __syncwarp();
    for (unsigned at = lane; at < TOGETHER; at += WARP) {
      const std::size_t row = base + at;
      const std::uint32_t bucket = drawn[at] & (lists.n_buckets - 1);
      unsigned same = __ballot_sync(0xFFFFFFFFu, row < end);  // lanes whose row goes to this lane's bucket
      for (unsigned bit = 0; bit < lists.bits; ++bit) {
        const unsigned set = __ballot_sync(0xFFFFFFFFu, bucket >> bit & 1);
        same &= bucket >> bit & 1 ? set : ~set;
      }
      if (WRITE && row < end) lists.dealt[list * job.n_rows + table[bucket] + __popc(same & lower)] = static_cast<std::uint32_t>(row);
      __syncwarp();
      if (row < end && same >> lane == 1) table[bucket] += __popc(same);
      __syncwarp();
    }
  }
  if (!WRITE)
    for (unsigned b = lane; b < lists.n_buckets; b += WARP) counts[b] = table[b];
}

// A block turns the counts of a list into places, a thread those of a bucket.
__global__ void __launch_bounds__(MOST_BUCKETS) places_kernel(Lists lists) {
  const unsigned bucket = threadIdx.x;
  const bool mine = bucket < lists.n_buckets;
  std::uint32_t* const counts = lists.counts + blockIdx.x * lists.n_chunks * lists.n_buckets + bucket;
  std::uint32_t size = 0;
  for (std::size_t chunk = 0; mine && chunk < lists.n_chunks; ++chunk) size += counts[chunk * lists.n_buckets];
  std::uint32_t* const ends = shared<std::uint32_t>();
  ends[bucket] = size;
  __syncthreads();
  for (unsigned apart = 1; apart < MOST_BUCKETS; apart *= 2) {
    const std::uint32_t before = bucket >= apart ? ends[bucket - apart] : 0;
    __syncthreads();
    ends[bucket] += before;
    __syncthreads();
  }
  if (!mine) return;
  std::uint32_t place = ends[bucket] - size;
  std::uint32_t* const starts = lists.starts + blockIdx.x * (lists.n_buckets + 1) + bucket;
  if (bucket == 0) *starts = 0;
  starts[1] = ends[bucket];
  for (std::size_t chunk = 0; chunk < lists.n_chunks; ++chunk) {
    const std::uint32_t count = counts[chunk * lists.n_buckets];
    counts[chunk * lists.n_buckets] = place;
    place += count;
  }
}

// A block of one warp shuffles a bucket: in shared memory, or where it is too long for that, in place and slowly.
__global__ void __launch_bounds__(WARP) buckets_kernel(Permutation job, Lists lists, unsigned longest) {
  const std::size_t list = blockIdx.x / lists.n_buckets;
  const unsigned bucket = blockIdx.x % lists.n_buckets, lane = threadIdx.x;
  const std::uint32_t* const starts = lists.starts + list * (lists.n_buckets + 1) + bucket;
  const std::uint32_t start = starts[0], size = starts[1] - start;
  if (size == 0) return;
  const std::uint32_t* const dealt = lists.dealt + list * job.n_rows + start;
  std::uint32_t* const source = lists.source + list * job.n_rows + start;
  const Stream stream = stream_of_list(job, lists, list);
  const std::uint64_t first = first_draw(start, bucket);
  if (size <= longest) {
    const Chains chain(shared<ushort2>(), 1, size);
    chain.draw(stream, first);
    __syncwarp();
    if (lane == 0) chain.follow();
    __syncwarp();
    for (unsigned row = 2 * lane; row < size; row += 2 * WARP) {
      const ushort2 from = *chain.at(row);
      source[row] = dealt[from.x];
      if (row + 1 < size) source[row + 1] = dealt[from.y];
    }
    return;
  }
  for (std::size_t row = lane; row < size; row += WARP) source[row] = dealt[row];
  __syncwarp();
  if (lane != 0) return;
  for (std::size_t row = 0; row < size; row += 4) {
    const Draws<1> partner = draw_rows<1>(stream, first + row, 0, static_cast<std::uint32_t>(row + 1), 1);
    for (unsigned k = 0; k < 4 && row + k < size; ++k) {
      const std::uint32_t held = source[row + k];
      source[row + k] = source[partner.at[k]];
      source[partner.at[k]] = held;
    }
  }
}

// Picks the items. Lists are read along their rows and written along the rows of the result, through a tile of row numbers.
template <class Item>
__global__ void __launch_bounds__(WARP * TILE_WARPS) pick_kernel(Permutation job, Lists lists, Panels panels) {
  const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  const std::size_t first = std::size_t{blockIdx.y} * TILE, own = lists.first + first + lane;
  const bool inside = first + lane < lists.count;
  const std::size_t copy = own / job.n_columns, column = own % job.n_columns;
  const Column<Item, false> x(job, panels, column);
  std::uint32_t* const tile = shared<std::uint32_t>();
  for (std::size_t row = std::size_t{blockIdx.x} * TILE; row < job.n_rows; row += std::size_t{gridDim.x} * TILE) {
    for (unsigned k = warp; k < TILE && first + k < lists.count; k += TILE_WARPS)
      if (row + lane < job.n_rows) tile[k * (TILE + 1) + lane] = lists.source[(first + k) * job.n_rows + row + lane];
    __syncthreads();
    for (unsigned k = warp; k < TILE && row + k < job.n_rows; k += TILE_WARPS)
      if (inside) *result_at<Item>(job, copy, row + k, column) = x[tile[lane * (TILE + 1) + k]];
    __syncthreads();
  }
}

void shuffle_lists(const Permutation& job, const Lists& lists, const Device& device, cudaStream_t stream) {
  const std::size_t tasks = lists.count * lists.n_chunks;
  const Shape dealing{static_cast<unsigned>((tasks + DEAL_WARPS - 1) / DEAL_WARPS), WARP * DEAL_WARPS, DEAL_WARPS * DEAL_BYTES};
  launch(JOB, deal_kernel<false>, dealing, stream, job, lists);
  launch(JOB, places_kernel, {static_cast<unsigned>(lists.count), MOST_BUCKETS, MOST_BUCKETS * sizeof(std::uint32_t)}, stream, lists);
  launch(JOB, deal_kernel<true>, dealing, stream, job, lists);
  // room for the average and an eighth more, 7 standard deviations of a bucket of 3,584 rows: chains longer than that are rare
  std::size_t longest = (job.n_rows >> lists.bits) * 9 / 8 + 64;
  const std::size_t room = device.shared_block / sizeof(unsigned short) / 4 * 4;
  if (longest > Chains::MOST_PLACES) longest = Chains::MOST_PLACES;
  if (longest > room) longest = room;
  launch(JOB, buckets_kernel, {static_cast<unsigned>(lists.count * lists.n_buckets), WARP, Chains::bytes(longest, 1)}, stream, job,
         lists, static_cast<unsigned>(longest));
  const std::size_t n_tiles = (job.n_rows + TILE - 1) / TILE;
  const dim3 grid(static_cast<unsigned>((n_tiles + TILES_A_BLOCK - 1) / TILES_A_BLOCK), static_cast<unsigned>((lists.count + TILE - 1) / TILE));
  with_item(job, [&](auto item) {
    launch(JOB, pick_kernel<decltype(item)>, {grid, WARP * TILE_WARPS, TILE * (TILE + 1) * sizeof(std::uint32_t)}, stream, job, lists, Panels{});
  });
}

}  // namespace

void shuffle_tall(const Permutation& job, const Device& device, Workspace& memory, cudaStream_t stream) {
  Lists lists{};
  lists.bits = bucket_bits(job.n_rows, job.longest);
  lists.n_buckets = 1u << lists.bits;
  lists.n_chunks = (job.n_rows + CHUNK - 1) / CHUNK;
  const std::size_t all = job.n_copies * job.n_columns, counts = lists.n_chunks * lists.n_buckets;
  const std::size_t list_bytes = (2 * job.n_rows + counts + lists.n_buckets + 1) * sizeof(std::uint32_t);
  std::size_t most = BORROWED_BYTES / list_bytes;
  if (most > MOST_LISTS) most = MOST_LISTS;
  if (most < 1) most = 1;
  if (most > all) most = all;
  lists.dealt = memory.take<std::uint32_t>(most * job.n_rows);
  lists.source = memory.take<std::uint32_t>(most * job.n_rows);
  lists.counts = memory.take<std::uint32_t>(most * counts);
  lists.starts = memory.take<std::uint32_t>(most * (lists.n_buckets + 1));
  for (; lists.first < all; lists.first += most) {
    lists.count = all - lists.first < most ? all - lists.first : most;
    shuffle_lists(job, lists, device, stream);
  }
}

}  // namespace dualwalk::cuda
