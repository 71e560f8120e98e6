// Panels, up to 32 columns side by side: how wide they are, how they come into shared memory, and where their items lie. For .cu
// files only.
#pragma once

#include "permute/draws.cuh"

namespace dualwalk::cuda {

constexpr std::size_t SECTOR = 32;            // bytes that memory moves together
constexpr std::size_t RESERVED_BYTES = 1024;  // of shared memory, that the system keeps of every block's

struct Panels {
  unsigned width_bits;      // 2^width_bits columns each
  bool staged;              // x is copied into shared memory, [row][column]; else read where it lies
  unsigned n_warps;         // of a block
  std::size_t staged_bytes;
  std::size_t store_bytes;  // of a warp, behind

  DUALWALK_FN std::size_t width() const { return std::size_t{1} << width_bits; }
  DUALWALK_FN std::size_t count(const Permutation& job) const { return (job.n_columns + width() - 1) >> width_bits; }
  std::size_t shared_bytes() const { return staged_bytes + n_warps * store_bytes; }
};

inline std::size_t staged_bytes(const Permutation& job, unsigned width_bits) {
  return ((job.n_rows << width_bits) * job.item_size + 15) / 16 * 16;
}

// The widest panel that is of use.
inline unsigned widest_bits(const Permutation& job) {
  unsigned bits = 0;
  while (bits < 5 && std::size_t{1} << bits < job.n_columns) ++bits;
  return bits;
}

// Whether narrower panels would read and write less than memory moves.
inline bool fills_sectors(const Permutation& job, unsigned width_bits) {
  return job.item_size << width_bits >= SECTOR || width_bits == widest_bits(job);
}

// In how many parts a panel's units are divided: one, unless there are few panels; never less than a turn of its warps each.
inline std::size_t parts_of(std::size_t n_panels, std::size_t n_units, const Panels& panels, const Device& device) {
  const std::size_t wanted = 8 * static_cast<std::size_t>(device.multiprocessors), turns = (n_units + panels.n_warps - 1) / panels.n_warps;
  std::size_t parts = (wanted + n_panels - 1) / n_panels;
  if (parts > turns) parts = turns;
  return parts < 65535 ? parts : 65535;
}

// Begins to copy an item into shared memory; those of 4 bytes and more need no register on the way, and no thread waits.
template <class Item>
__device__ __forceinline__ void copy_async(Item* to, const Item* from) {
#if !defined(DUALWALK_CUDA_ON_HOST)
  if constexpr (sizeof(Item) >= 4) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(to))), "l"(from),
                 "n"(sizeof(Item))
                 : "memory");
    return;
  }
#endif
  *to = *from;
}

// What this thread began to copy is there.
__device__ __forceinline__ void wait_async() {
#if !defined(DUALWALK_CUDA_ON_HOST)
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

// The rows of a column of x, where they lie or in the panel in shared memory.
template <class Item, bool STAGED>
class Column {
 public:
  __device__ Column(const Permutation& job, const Panels& panels, std::size_t column)
      : from_(job.x + static_cast<std::ptrdiff_t>(column / job.n_inner) * job.outer_stride +
              static_cast<std::ptrdiff_t>(column % job.n_inner) * job.inner_stride),
        stride_(job.row_stride), staged_(shared<char>((column & (panels.width() - 1)) * sizeof(Item))),
        staged_stride_(static_cast<unsigned>(sizeof(Item) << panels.width_bits)) {}

  __device__ Item operator[](std::uint32_t row) const {
    if constexpr (STAGED) return *inside(row);
    return *outside(row);
  }
  // Begins to copy rows first, first + step, ... into the panel.
  __device__ void stage(std::size_t first, std::size_t step, std::size_t n_rows) const {
    for (std::size_t row = first; row < n_rows; row += step) copy_async(inside(static_cast<unsigned>(row)), outside(row));
  }

 private:
  __device__ Item* inside(unsigned row) const { return reinterpret_cast<Item*>(staged_ + row * staged_stride_); }
  __device__ const Item* outside(std::size_t row) const {
    return reinterpret_cast<const Item*>(from_ + static_cast<std::ptrdiff_t>(row) * stride_);
  }

  const char* from_;
  std::ptrdiff_t stride_;
  char* staged_;
  unsigned staged_stride_;
};

// Where an item of the result lies.
template <class Item>
__device__ __forceinline__ Item* result_at(const Permutation& job, std::size_t copy, std::size_t row, std::size_t column) {
  return reinterpret_cast<Item*>(job.out) + (copy * job.n_rows + row) * job.n_columns + column;
}

// call(Item{}) with a type of the job's item size that moves in one piece.
template <class Call>
void with_item(const Permutation& job, Call call) {
  switch (job.item_size) {
    case 1: return call(static_cast<unsigned char>(0));
    case 2: return call(static_cast<unsigned short>(0));
    case 4: return call(0u);
    case 8: return call(0ull);
    default: return call(uint4{});
  }
}

}  // namespace dualwalk::cuda
