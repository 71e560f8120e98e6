#include "parallel.hpp"

#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>

namespace dualwalk {
namespace {

struct Job {
  std::size_t n_tasks;
  Task run;
  void* context;
  int helpers_wanted;
  int next_worker = 1;  // 0 is the caller
  std::atomic<int> helpers_inside{0};
  std::atomic<std::size_t> next{0};

  void work(int worker) {
    for (std::size_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < n_tasks;) run(context, task, worker);
  }
};

// Looks for up to this long before it sleeps: a thread that sleeps takes as long to be back, and in a loop of short calls the
// next one comes sooner.
constexpr auto PATIENCE = std::chrono::microseconds(60);

template <class Condition>
bool soon(Condition holds) {
  const auto end = std::chrono::steady_clock::now() + PATIENCE;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();  // the processor may be needed for the one that is waited for
  }
  return true;
}

// While it lives, threads that are started inherit that no signal is for them: those are for the threads that the program has
// itself, one of which may wait for just that signal. Faults, which are a thread's own, and profilers' ticks come through.
class NoSignals {
#if !defined(_WIN32)
 public:
  NoSignals() {
    sigset_t none;
    sigfillset(&none);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGPROF}) sigdelset(&none, own);
    pthread_sigmask(SIG_SETMASK, &none, &before_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
#endif
};

class Pool;

// Never destroyed: its threads may be asleep in it while the process exits. A forked child, which has none of the
// parent's threads, gets a new one and leaves the old where it is.
std::atomic<Pool*> pool{nullptr};

class Pool {
 public:
  bool run(Job& job, Poll poll, void* poll_context) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (size_ < job.helpers_wanted) grow(job.helpers_wanted);
      jobs_.push_back(&job);
      posted_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    bool stopped = false;
    const auto asked_to_stop = [&] {
      if (!stopped && poll && poll(poll_context)) stopped = true;
      if (stopped) job.next.store(job.n_tasks);
      return stopped;
    };
    auto last = std::chrono::steady_clock::now();
    for (std::size_t task; (task = job.next.fetch_add(1, std::memory_order_relaxed)) < job.n_tasks;) {
      job.run(job.context, task, 0);
      const auto now = std::chrono::steady_clock::now();
      if (now - last > std::chrono::milliseconds(50)) {
        last = now;
        if (asked_to_stop()) break;
      }
    }
    if (left_behind()) return false;
    std::unique_lock<std::mutex> lock(mutex_);
    jobs_.remove(&job);
    lock.unlock();
    soon([&] { return job.helpers_inside.load(std::memory_order_acquire) == 0; });
    lock.lock();
    while (job.helpers_inside > 0) {
      if (!done_.wait_for(lock, std::chrono::milliseconds(50), [&] { return job.helpers_inside == 0; })) {
        lock.unlock();
        asked_to_stop();
        if (left_behind()) return false;
        lock.lock();
      }
    }
    return !stopped;
  }

 private:
  // Whether this is a child that was forked by the poll, in the middle of a job: the helpers, and whoever may hold the lock, stayed
  // with the parent.
  bool left_behind() const { return pool.load() != this; }

  // Fewer threads than wanted where the system has no more: the caller does what nobody else does.
  void grow(int wanted) {
    const NoSignals inherited;
    try {
      for (; size_ < wanted; ++size_) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {
    }
  }

  void serve() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      Job* job = nullptr;
      const auto wanted = [&] {
        for (Job* waiting : jobs_)
          if (waiting->next_worker <= waiting->helpers_wanted) return job = waiting, true;
        return false;
      };
      if (!wanted()) {
        const unsigned seen = posted_.load(std::memory_order_relaxed);
        lock.unlock();
        soon([&] { return posted_.load(std::memory_order_acquire) != seen; });
        lock.lock();
        wake_.wait(lock, wanted);
      }
      const int worker = job->next_worker++;
      ++job->helpers_inside;
      lock.unlock();
      job->work(worker);
      lock.lock();
      if (--job->helpers_inside == 0) done_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::list<Job*> jobs_;
  int size_ = 0;
  std::atomic<unsigned> posted_{0};
};

std::atomic<unsigned> n_forks{0};

#if !defined(_WIN32)  // Windows has no fork
[[maybe_unused]] const int at_fork = pthread_atfork(nullptr, nullptr, [] {
  pool.store(new Pool);
  n_forks.fetch_add(1);
});
#endif

Pool& the_pool() {
  Pool* current = pool.load();
  if (current == nullptr) {
    Pool* fresh = new Pool;
    if (pool.compare_exchange_strong(current, fresh)) return *fresh;
    delete fresh;
  }
  return *current;
}

}  // namespace

unsigned fork_count() { return n_forks.load(); }

int threads_for(double work, int n_threads) {
  const double shares = work / WORK_A_THREAD;
  return shares >= n_threads ? n_threads : std::max(static_cast<int>(shares), 1);
}

bool parallel_for(std::size_t n_tasks, int n_threads, Task run, void* context, Poll poll, void* poll_context) {
  const int helpers = static_cast<int>(std::min<std::size_t>(n_threads, n_tasks)) - 1;
  Job job{n_tasks, run, context, std::max(helpers, 0)};
  if (helpers > 0) return the_pool().run(job, poll, poll_context);
  for (std::size_t task = 0; task < n_tasks; ++task) {
    run(context, task, 0);
    if (poll && poll(poll_context)) return false;
  }
  return true;
}

}  // namespace dualwalk
