// log-mean-exp of segments, whose offsets only the device knows.
//
// The elements are cut into tasks. A segment of at most a chunk belongs to the task it begins in; a longer one is cut into
// runs, each of which belongs to the task it begins in. Teams of lanes as for rows of the same length, so their bits are the
// same.
#include "objective/forms.cuh"

namespace dualwalk::cuda {
namespace {

const char* const JOB = "log_mean_exp_segments";
constexpr std::int64_t TASK = 2048;  // elements; a run is longer, so no two runs of a segment begin in one task

template <class T>
__device__ bool offsets_reach_from_end_to_end(const LogMeanExpSegments<T>& job) {
  return job.offsets[0] == 0 && job.offsets[job.count] == static_cast<std::int64_t>(job.n);
}

// The first segment that begins at `element` or later; all lanes of a warp look for it.
__device__ std::size_t first_from(const std::int64_t* offsets, std::size_t count, std::int64_t element) {
  std::size_t low = 0, high = count;
  while (low < high) {
    const std::size_t step = (high - low + 31) / 32, probe = low + ((threadIdx.x & 31) + 1) * step - 1;
    const int before = __popc(__ballot_sync(ALL_LANES, probe < high && offsets[probe] < element));
    if (low + (before + 1) * step - 1 < high) high = low + (before + 1) * step - 1;
    low += before * step;
  }
  return low;
}

__device__ __forceinline__ unsigned without_lowest(unsigned bits, int n) {
  for (int i = 0; i < n; ++i) bits &= bits - 1;
  return bits;
}
// The lane of the lowest bit that is set, or -1.
__device__ __forceinline__ int lowest(unsigned bits) { return __ffs(static_cast<int>(bits)) - 1; }

// A segment as a lane knows it. What would reach outside of f has no length.
struct Segment {
  std::int64_t begin = 0, length = 0;

  __device__ Segment(const std::int64_t* offsets, std::size_t k, std::size_t n) {
    const std::int64_t from = offsets[k], to = offsets[k + 1];
    if (from >= 0 && from < to && to <= static_cast<std::int64_t>(n)) begin = from, length = to - from;
  }
  __device__ Segment(std::int64_t begin, std::int64_t length) : begin(begin), length(length) {}
  __device__ bool is_long() const { return length > CHUNK; }
  // The states of runs: long segments begin more than a chunk apart and have no more runs than chunks, so these are nobody
  // else's.
  __device__ std::size_t slot() const { return static_cast<std::size_t>(begin) / CHUNK; }
  __device__ std::size_t runs() const { return (static_cast<std::size_t>(length) + RUN - 1) / RUN; }
  // The first run that begins at `element` or later, which may be beyond the last.
  __device__ std::int64_t run_from(std::int64_t element) const {
    return begin >= element ? 0 : (element - begin + static_cast<std::int64_t>(RUN) - 1) / static_cast<std::int64_t>(RUN);
  }
};

// Calls what(segment, run) for the runs of long segments that begin in a task, and short(k, segment, begins), unless it is
// null, for the others of it; for 32 segments at once, one a lane. All lanes of a warp come along.
template <class Short, class Long>
__device__ void each_of_task(const std::int64_t* offsets, std::size_t count, std::size_t n, std::int64_t task, Short short_ones,
                             Long what) {
  const std::int64_t begin = task * TASK, end = min(begin + TASK, static_cast<std::int64_t>(n));
  std::size_t first = first_from(offsets, count, begin);
  if (first > 0) --first;  // it may reach into the task
  for (bool more = true; more; first += 32) {
    const std::size_t k = first + (threadIdx.x & 31);
    const bool known = k < count && offsets[k] < end;
    const Segment segment = known ? Segment(offsets, k, n) : Segment(0, 0);
    const bool begins = known && offsets[k] >= begin;
    short_ones(k, segment, begins);
    const std::int64_t run = segment.run_from(begin), at = run * static_cast<std::int64_t>(RUN);
    unsigned waiting = __ballot_sync(ALL_LANES, segment.is_long() && segment.begin + at < end && at < segment.length);
    while (waiting) {
      const int owner = lowest(waiting);
      waiting &= waiting - 1;
      what(Segment(__shfl_sync(ALL_LANES, segment.begin, owner), __shfl_sync(ALL_LANES, segment.length, owner)),
           __shfl_sync(ALL_LANES, run, owner));
    }
    more = __shfl_sync(ALL_LANES, static_cast<int>(known), 31) != 0;
  }
}

template <class T, bool WEIGHTED>
__device__ void whole_segment(const LogMeanExpSegments<T>& job, const Team& team, std::size_t k, std::int64_t begin, int n) {
  const T* const weights = WEIGHTED ? job.weights + begin : nullptr;
  const ExpSum sum = sum_chunk<T, WEIGHTED>(team, job.f + begin, weights, n);
  if (n == 0) return;
  if (team.rank == 0) job.value[k] = static_cast<T>(value_of(sum));
  if (!job.gradient) return;
  write_shares<T, WEIGHTED>(team, job.f + begin, weights, job.gradient + begin, n, shares_of<T>(sum, WEIGHTED));
}

template <class T, bool WEIGHTED>
__global__ void __launch_bounds__(THREADS, WEIGHTED ? 1 : 2) sum_segments(LogMeanExpSegments<T> job, ExpSum* states) {
  if (!offsets_reach_from_end_to_end(job)) return;
  const Team warp(32);
  const std::size_t tasks = (job.n + TASK - 1) / TASK;
  for (std::size_t task = first_warp(); task < tasks; task += all_warps())
    each_of_task(
        job.offsets, job.count, job.n, static_cast<std::int64_t>(task),
        [&](std::size_t k, const Segment& segment, bool begins) {
          if (begins && segment.length == 0) job.value[k] = static_cast<T>(NAN);
          const int n = begins && !segment.is_long() ? static_cast<int>(segment.length) : 0;
          const int own_width = n > 0 ? width_for(n) : 0;
          for (int width = 1; width <= 32; width *= 2) {  // so many at once as have lanes
            const Team team(width);
            const int lane = static_cast<int>(threadIdx.x & 31), at_once = 32 / width;
            unsigned waiting = __ballot_sync(ALL_LANES, own_width == width);
            for (; waiting; waiting = without_lowest(waiting, at_once)) {
              const int owner = width == 1 ? (waiting >> lane & 1 ? lane : -1) : lowest(without_lowest(waiting, lane / width));
              const std::size_t number = __shfl_sync(ALL_LANES, k, max(owner, 0));
              const std::int64_t from = __shfl_sync(ALL_LANES, segment.begin, max(owner, 0));
              const int length = __shfl_sync(ALL_LANES, n, max(owner, 0));
              whole_segment<T, WEIGHTED>(job, team, number, from, owner < 0 ? 0 : length);
            }
          }
        },
        [&](const Segment& segment, std::int64_t run) {
          const std::int64_t from = run * static_cast<std::int64_t>(RUN), at = segment.begin + from;
          const T* const weights = WEIGHTED ? job.weights + at : nullptr;
          const ExpSum sum = sum_run<T, WEIGHTED>(warp, job.f + at, weights, size_of_run(segment.length, from));
          if (warp.rank == 0) states[segment.slot() + run] = sum;
        });
}

// Values of long segments from their runs. A block takes 32 segments at a time: one of few runs goes to a warp, one of more
// than a group of them to all warps.
template <class T>
__global__ void __launch_bounds__(THREADS, 2) finish_segments(LogMeanExpSegments<T> job, ExpSum* states, Shares* shares) {
  if (!offsets_reach_from_end_to_end(job)) return;
  const std::size_t lane = threadIdx.x & 31, own_warp = threadIdx.x / 32;
  for (std::size_t first = std::size_t{blockIdx.x} * 32; first < job.count; first += std::size_t{gridDim.x} * 32) {
    const Segment mine = first + lane < job.count ? Segment(job.offsets, first + lane, job.n) : Segment(0, 0);
    unsigned waiting = __ballot_sync(ALL_LANES, mine.is_long());  // the same in every warp
    for (std::size_t turn = 0; waiting; ++turn, waiting &= waiting - 1) {
      const int owner = lowest(waiting);
      const Segment segment(__shfl_sync(ALL_LANES, mine.begin, owner), __shfl_sync(ALL_LANES, mine.length, owner));
      ExpSum* const own = states + segment.slot();
      const std::size_t runs = segment.runs(), groups = (runs + GROUP - 1) / GROUP;
      if (groups > 1) {
        for (std::size_t group = own_warp; group < groups; group += WARPS) {
          const std::size_t from = group * GROUP;
          const ExpSum sum = combine_group(own + from, runs - from < GROUP ? runs - from : GROUP, 1);
          if (lane == 0) own[from] = sum;  // its lanes have read it
        }
        __syncthreads();
      }
      if (own_warp != (groups > 1 ? 0 : turn % WARPS)) continue;
      const ExpSum sum = groups > 1 ? combine_group(own, groups, GROUP) : combine_group(own, runs, 1);
      if (lane == 0) finish(sum, job.weights != nullptr, job.value + first + owner, shares ? shares + segment.slot() : nullptr);
    }
  }
}

template <class T, bool WEIGHTED>
__global__ void __launch_bounds__(THREADS, 2) share_segments(LogMeanExpSegments<T> job, const Shares* shares) {
  if (!offsets_reach_from_end_to_end(job)) return;
  const Team warp(32);
  const std::size_t tasks = (job.n + TASK - 1) / TASK;
  for (std::size_t back = first_warp(); back < tasks; back += all_warps())
    each_of_task(
        job.offsets, job.count, job.n, static_cast<std::int64_t>(tasks - 1 - back), [](std::size_t, const Segment&, bool) {},
        [&](const Segment& segment, std::int64_t run) {
          const std::int64_t from = run * static_cast<std::int64_t>(RUN), at = segment.begin + from;
          write_shares<T, WEIGHTED>(warp, job.f + at, WEIGHTED ? job.weights + at : nullptr, job.gradient + at,
                                    size_of_run(segment.length, from), shares[segment.slot()]);
        });
}

template <class T, bool WEIGHTED>
void segments(const LogMeanExpSegments<T>& job, Workspace& memory, cudaStream_t stream) {
  const std::size_t tasks = (job.n + TASK - 1) / TASK, slots = job.n / CHUNK + 1;
  ExpSum* const states = memory.take<ExpSum>(slots);
  launch_over(JOB, sum_segments<T, WEIGHTED>, {tasks, WARPS}, stream, job, states);
  if (job.n <= CHUNK) return;  // no segment is long
  Shares* const shares = job.gradient ? memory.take<Shares>(slots) : nullptr;
  launch_over(JOB, finish_segments<T>, {job.count, 32}, stream, job, states, shares);
  if (job.gradient) launch_over(JOB, share_segments<T, WEIGHTED>, {tasks, WARPS}, stream, job, shares);
}

}  // namespace

template <class T>
void log_mean_exp_segments(const LogMeanExpSegments<T>& job, Workspace& memory, cudaStream_t stream) {
  if (job.count == 0 || job.n == 0) return;
  job.weights ? segments<T, true>(job, memory, stream) : segments<T, false>(job, memory, stream);
}
template void log_mean_exp_segments(const LogMeanExpSegments<float>&, Workspace&, cudaStream_t);
template void log_mean_exp_segments(const LogMeanExpSegments<double>&, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
