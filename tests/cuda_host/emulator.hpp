// Threads of a CUDA grid as fibers of one host thread. A fiber runs until a barrier, then the next one does: blocks one after
// the other, or all at once where they wait for each other (cooperative launches, clusters). The order of the fibers can be
// turned round or shuffled: results that change with it show a barrier that is missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

namespace cuda_host {

struct Shape {
  unsigned x, y, z;
  unsigned size() const { return x * y * z; }
};

// Where the running fiber is.
struct Place {
  unsigned thread, block;  // flat
  Shape block_shape, grid_shape;
  unsigned cluster_size;   // blocks; 1 without clusters
  unsigned char* shared;   // of its block
};
const Place& here();

struct Device {
  int multiprocessors = 4, major = 9, minor = 0;
  std::size_t shared = 232448;  // bytes a block may take
};
Device& device();  // may be changed by tests
extern int last_error;
extern std::uint64_t n_launches;
extern int next_launch;  // the error code of the next launch, which then does nothing; 0 for one that runs
enum class Order { forward, backward, shuffled };
extern Order order;

struct Launch {
  Shape grid, block;
  std::size_t shared;
  unsigned cluster = 1;
  bool together = false;  // all blocks at once
};
// Runs `body` as every thread of the grid; returns an error code as the runtime would for shapes that no device takes.
int launch(const Launch& shape, const std::function<void()>& body);

inline int lane() { return static_cast<int>(here().thread & 31); }
void pause();  // lets the others run
void block_barrier();
int block_vote(bool value);  // a barrier; how many said yes
void warp_barrier(unsigned mask);
unsigned ballot(unsigned mask, bool value);
void cluster_barrier();
unsigned char* shared_of(unsigned rank);  // the shared memory of another block of the cluster

// What lane `from` gave; every lane of the mask calls. `give` and `take` are the two halves.
void* give(unsigned mask, const void* value, std::size_t size);
const void* taken(unsigned mask, int from);
void done(unsigned mask);
template <class T>
T exchange(unsigned mask, T value, int from) {
  static_assert(sizeof(T) <= 64, "larger than an exchange takes");
  give(mask, &value, sizeof(T));
  T result;
  std::memcpy(&result, taken(mask, from), sizeof(T));
  done(mask);
  return result;
}

}  // namespace cuda_host
