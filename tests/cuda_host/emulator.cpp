#include "emulator.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define DUALWALK_ASAN 1
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace cuda_host {

int last_error = 0;
std::uint64_t n_launches = 0;
int next_launch = 0;
Order order = Order::forward;
Device& device() {
  static Device one;
  return one;
}

namespace {

constexpr std::size_t STACK_BYTES = 256 * 1024;
constexpr std::uint64_t MOST_IDLE_ROUNDS = 200000;  // of all fibers, without a barrier passed or a fiber ended: they wait for nothing
constexpr std::size_t SLOT_BYTES = 64;

// ---- switching stacks

#if defined(__x86_64__)
extern "C" void cuda_host_switch(void** save, void* load);
asm(R"(
.text
.type cuda_host_switch, @function
cuda_host_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cuda_host_switch, .-cuda_host_switch
)");
struct Context {
  void* stack_pointer = nullptr;
  void start(unsigned char* bottom, std::size_t size, void (*entry)()) {
    auto* top = reinterpret_cast<std::uintptr_t*>((reinterpret_cast<std::uintptr_t>(bottom + size)) & ~std::uintptr_t{15});
    *--top = 0;  // the entry never returns; its stack pointer is then as after a call
    *--top = reinterpret_cast<std::uintptr_t>(entry);
    for (int i = 0; i < 6; ++i) *--top = 0;
    stack_pointer = top;
  }
};
void switch_context(Context& from, Context& to) { cuda_host_switch(&from.stack_pointer, to.stack_pointer); }
#else
struct Context {
  ucontext_t state;
  void start(unsigned char* bottom, std::size_t size, void (*entry)()) {
    getcontext(&state);
    state.uc_stack.ss_sp = bottom;
    state.uc_stack.ss_size = size;
    state.uc_link = nullptr;
    makecontext(&state, entry, 0);
  }
};
void switch_context(Context& from, Context& to) { swapcontext(&from.state, &to.state); }
#endif

// ---- what runs

struct Warp {
  unsigned live = 0, arrived = 0, voted = 0;
  unsigned ballot_result[32];
  alignas(16) unsigned char slot[32][SLOT_BYTES];
};

struct Block {
  std::vector<Warp> warps;
  // exactly as large as asked for and at an address of its own: ASan sees a step beyond the end
  std::unique_ptr<unsigned char, void (*)(void*)> shared{nullptr, std::free};
  unsigned live = 0, arrived = 0, yes = 0, last_yes = 0;
  std::uint64_t generation = 0;
};

struct Cluster {
  unsigned live = 0, arrived = 0;
  std::uint64_t generation = 0;
};

struct Fiber {
  Context context;
  Place place;
  Block* block = nullptr;
  Cluster* cluster = nullptr;
  bool over = false;
  unsigned char* stack = nullptr;
#if defined(DUALWALK_ASAN)
  void* fake_stack = nullptr;
#endif
};

struct Team {
  std::vector<Fiber> fibers;
  std::vector<Block> blocks;
  std::vector<Cluster> clusters;
};

Context scheduler;
Fiber* running = nullptr;
Team* team = nullptr;
const std::function<void()>* kernel = nullptr;
std::uint64_t progress = 0;
std::vector<std::unique_ptr<unsigned char[]>> stacks;
#if defined(DUALWALK_ASAN)
void* scheduler_fake_stack = nullptr;
const void* scheduler_bottom = nullptr;
std::size_t scheduler_size = 0;
#endif

void to_scheduler(bool last) {
#if defined(DUALWALK_ASAN)
  __sanitizer_start_switch_fiber(last ? nullptr : &running->fake_stack, scheduler_bottom, scheduler_size);
#endif
  (void)last;
  Fiber* self = running;
  switch_context(self->context, scheduler);
#if defined(DUALWALK_ASAN)
  __sanitizer_finish_switch_fiber(self->fake_stack, &scheduler_bottom, &scheduler_size);
#endif
}

void to_fiber(Fiber& fiber) {
  running = &fiber;
#if defined(DUALWALK_ASAN)
  __sanitizer_start_switch_fiber(&scheduler_fake_stack, fiber.stack, STACK_BYTES);
#endif
  switch_context(scheduler, fiber.context);
#if defined(DUALWALK_ASAN)
  __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#endif
}

void release_block(Block& block) {
  if (block.live && block.arrived == block.live) {
    block.arrived = 0;
    block.last_yes = block.yes;
    block.yes = 0;
    ++block.generation;
    ++progress;
  }
}

void release_cluster(Cluster& cluster) {
  if (cluster.live && cluster.arrived == cluster.live) {
    cluster.arrived = 0;
    ++cluster.generation;
    ++progress;
  }
}

void entry() {
#if defined(DUALWALK_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_bottom, &scheduler_size);
#endif
  (*kernel)();
  Fiber& self = *running;
  self.over = true;
  ++progress;
  Warp& warp = self.block->warps[self.place.thread / 32];
  warp.live &= ~(1u << (self.place.thread & 31));
  --self.block->live;
  release_block(*self.block);  // those that have ended count as arrived, as on a device
  --self.cluster->live;
  release_cluster(*self.cluster);
  to_scheduler(true);
  std::abort();
}

Warp& own_warp() { return running->block->warps[running->place.thread / 32]; }

void run_team(Team& all, std::mt19937& random) {
  team = &all;
  std::vector<Fiber*> going;
  for (Fiber& fiber : all.fibers) going.push_back(&fiber);
  if (order == Order::backward) std::reverse(going.begin(), going.end());
  std::uint64_t idle = 0;
  while (!going.empty()) {
    if (order == Order::shuffled) std::shuffle(going.begin(), going.end(), random);
    const std::uint64_t before = progress;
    for (Fiber* fiber : going) to_fiber(*fiber);
    going.erase(std::remove_if(going.begin(), going.end(), [](Fiber* fiber) { return fiber->over; }), going.end());
    idle = progress == before ? idle + 1 : 0;
    if (idle > MOST_IDLE_ROUNDS) {
      std::fprintf(stderr, "cuda_host: %zu threads wait for each other for ever (block %u thread %u is one of them)\n", going.size(),
                   going[0]->place.block, going[0]->place.thread);
      std::abort();
    }
  }
}

}  // namespace

const Place& here() { return running->place; }
void pause() { to_scheduler(false); }

void block_barrier() { block_vote(false); }

int block_vote(bool value) {
  Block& block = *running->block;
  const std::uint64_t generation = block.generation;
  ++block.arrived;
  block.yes += value;
  release_block(block);
  while (block.generation == generation) pause();
  return static_cast<int>(block.last_yes);
}

void cluster_barrier() {
  Cluster& cluster = *running->cluster;
  const std::uint64_t generation = cluster.generation;
  ++cluster.arrived;
  release_cluster(cluster);
  while (cluster.generation == generation) pause();
}

unsigned char* shared_of(unsigned rank) {
  const Place& place = running->place;
  const unsigned first = place.block - place.block % place.cluster_size;
  return team->blocks[first - team->fibers[0].place.block + rank].shared.get();
}

void warp_barrier(unsigned mask) {
  Warp& warp = own_warp();
  const unsigned bit = 1u << lane();
  if (!(mask & bit)) {
    std::fprintf(stderr, "cuda_host: lane %d calls a warp function whose mask %08x leaves it out\n", lane(), mask);
    std::abort();
  }
  warp.arrived |= bit;
  for (;;) {
    const unsigned wanted = mask & warp.live;
    if ((warp.arrived & wanted) == wanted) {
      warp.arrived &= ~mask;
      ++progress;
    }
    if (!(warp.arrived & bit)) return;
    pause();
    if (!(warp.arrived & bit)) return;
  }
}

unsigned ballot(unsigned mask, bool value) {
  Warp& warp = own_warp();
  const unsigned bit = 1u << lane();
  warp.voted = value ? warp.voted | bit : warp.voted & ~bit;
  warp_barrier(mask);
  const unsigned result = warp.voted & mask & warp.live;
  warp_barrier(mask);
  return result;
}

void* give(unsigned mask, const void* value, std::size_t size) {
  Warp& warp = own_warp();
  std::memcpy(warp.slot[lane()], value, size);
  warp_barrier(mask);
  return warp.slot;
}
const void* taken(unsigned, int from) { return own_warp().slot[from & 31]; }
void done(unsigned mask) { warp_barrier(mask); }

int launch(const Launch& shape, const std::function<void()>& body) {
  const int refused = next_launch;
  next_launch = 0;
  if (refused) return last_error = refused;
  const unsigned threads = shape.block.size(), blocks = shape.grid.size();
  const bool fits = threads > 0 && threads <= 1024 && blocks > 0 && shape.grid.y <= 65535 && shape.grid.z <= 65535 &&
                    shape.grid.x <= 0x7FFFFFFF && shape.shared <= device().shared && shape.cluster > 0 && blocks % shape.cluster == 0;
  if (!fits) return last_error = 9;  // cudaErrorInvalidConfiguration
  const unsigned resident = device().multiprocessors * std::min<std::size_t>(2048 / threads, (device().shared + 1024) / (shape.shared + 1024));
  if (shape.together && blocks > resident) return last_error = 720;  // cudaErrorCooperativeLaunchTooLarge
  ++n_launches;
  const unsigned at_once = shape.together ? blocks : shape.cluster;
  while (stacks.size() < std::size_t{at_once} * threads) stacks.emplace_back(new unsigned char[STACK_BYTES]);
  std::mt19937 random(12345);
  kernel = &body;
  for (unsigned first = 0; first < blocks; first += at_once) {
    Team all;
    all.blocks.resize(at_once);
    all.clusters.resize(at_once / shape.cluster);
    all.fibers.resize(std::size_t{at_once} * threads);
    for (unsigned b = 0; b < at_once; ++b) {
      Block& block = all.blocks[b];
      block.live = threads;
      block.warps.resize((threads + 31) / 32);
      const std::size_t bytes = (std::max<std::size_t>(shape.shared, 1) + 127) / 128 * 128;
      block.shared.reset(static_cast<unsigned char*>(std::aligned_alloc(128, bytes)));
      for (std::size_t i = 0; i < bytes; ++i) block.shared.get()[i] = static_cast<unsigned char>(0xA5 + 7 * i);  // never zeros
      Cluster& cluster = all.clusters[b / shape.cluster];
      cluster.live += threads;
      for (unsigned t = 0; t < threads; ++t) {
        Fiber& fiber = all.fibers[std::size_t{b} * threads + t];
        fiber.place = {t, first + b, shape.block, shape.grid, shape.cluster, block.shared.get()};
        fiber.block = &block;
        fiber.cluster = &cluster;
        fiber.stack = stacks[std::size_t{b} * threads + t].get();
        fiber.context.start(fiber.stack, STACK_BYTES, entry);
        block.warps[t / 32].live |= 1u << (t & 31);
      }
    }
    run_team(all, random);
  }
  running = nullptr;
  return 0;
}

}  // namespace cuda_host
