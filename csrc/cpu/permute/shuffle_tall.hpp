// The shuffle of more rows than a tile holds: deal the rows of a few columns out into buckets, then shuffle bucket by bucket.
// The buckets are the groups of the list between the two steps. A column's share of a bucket has any size, so rows become final
// when every column has come past them; the list up to there is longer than those rows, and has been taken up.
#pragma once

#include "dualwalk/shuffle.hpp"
#include "permute/tall_list.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// The buckets of DEAL_ROWS rows of DRAW_COLUMNS columns: 8 bytes of a column side by side, [rows / 8][column][8].
constexpr std::size_t DEAL_FOURS = larger<std::size_t>(CHAINS * COUNTERS / DRAW_COLUMNS, 1), DEAL_ROWS = 16 * DEAL_FOURS;

inline void draw_buckets(const Stream& stream, const std::uint32_t* block, std::uint64_t first_row, std::uint32_t bits,
                         std::uint8_t (*buckets)[DRAW_COLUMNS][8]) {
  constexpr std::size_t vectors = smaller(CHAINS, DRAW_COLUMNS / COUNTERS);
  const std::uint64_t mask = ((1u << bits) - 1) * 0x0101010101010101u;
  for (std::size_t column = 0; column < DRAW_COLUMNS; column += vectors * COUNTERS) {
    WideWords chain[CHAINS];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < CHAINS; ++i)
      chain[i] = {{U64{} + first_row / 16 + i / vectors,
                   __builtin_convertvector(load<HalfU32>(block + column + i % vectors * COUNTERS), U64), U64{} + stream.copy,
                   U64{} + stream.operation}};
    philox_chains(chain, stream.seed);
#pragma GCC unroll 8
    for (std::size_t i = 0; i < CHAINS; ++i)
      for (std::size_t half = 0; half < 2; ++half) {
        const U64 low = chain[i].word[2 * half] & 0xFFFFFFFFu, high = chain[i].word[2 * half + 1] << 32;
        store(buckets[2 * (i / vectors) + half][column + i % vectors * COUNTERS], (low | high) & mask);
      }
  }
}

template <class Item>
class TallShuffle : TallList<Item> {
  using List = TallList<Item>;
  using List::column_length, List::job_, List::place, List::WIDTH;
  static constexpr std::size_t TOGETHER = 4;  // columns
  static constexpr std::size_t DEAL_TOGETHER = 4096, DEAL_LENGTH = DEAL_TOGETHER + LINE / sizeof(Item);
  static constexpr std::size_t BUCKETS = std::size_t{1} << MOST_BUCKET_BITS;

 public:
  explicit TallShuffle(const Permutation& job)
      : List(job, (job.n_rows >> bucket_bits(job.n_rows, job.longest)) * 9 / 8), bits_(bucket_bits(job.n_rows, job.longest)) {}

  bool run() {
    return List::for_lists([&](auto list, std::size_t first, std::size_t copy) { return shuffle_list(list, first, copy); });
  }

 private:
  struct Tables {
    std::uint32_t size[WIDTH][BUCKETS], head[WIDTH][BUCKETS];
  };

  template <class L>
  bool shuffle_list(L list, std::size_t first, std::size_t copy) const {
    const std::size_t n_buckets = std::size_t{1} << bits_;
    Item* const out = List::result(first, copy);
    const Scratch tables(sizeof(Tables));
    if (!tables) return false;
    Tables& table = *tables.as<Tables>();
    std::memset(&table, 0, sizeof(Tables));
    deal(list, first, copy, 0, job_.n_rows, [&](std::size_t row, std::size_t c, const std::uint8_t* eight) {
      for (std::size_t i = 0; i < smaller<std::size_t>(8, job_.n_rows - row); ++i) ++table.size[c][eight[i]];
    });
    std::uint32_t element = 0;
    std::size_t ends[WIDTH] = {}, longest = 0;
    for (std::size_t b = 0; b < n_buckets; ++b) {
      std::size_t begin = ends[0], end = 0;
      for (std::size_t c = 0; c < list.width; ++c) {
        table.head[c][b] = element;
        element += table.size[c][b];
        begin = smaller(begin, ends[c]);
        end = larger(end, ends[c] += table.size[c][b]);
      }
      longest = larger(longest, end - begin);
    }
    const std::size_t dealing = list.width * (DEAL_LENGTH * sizeof(Item) + DEAL_TOGETHER);
    const Scratch columns(larger(list.width * column_length(longest) * sizeof(Item), dealing));
    if (!columns) return false;
    deal_out(list, first, copy, table, out, columns.as<Item>());
    take_up(list, first, copy, table, out, columns.as<Item>(), column_length(longest));
    return true;
  }

  // Rows go to their buckets a column at a time, and many of them, so that the places next to be filled lie in the first cache.
  template <class L>
  void deal_out(L list, std::size_t first, std::size_t copy, Tables& table, Item* out, Item* columns) const {
    std::uint8_t* const buckets = reinterpret_cast<std::uint8_t*>(columns + list.width * DEAL_LENGTH);
    for (std::size_t row = 0; row < job_.n_rows; row += DEAL_TOGETHER) {
      const std::size_t rows = smaller(DEAL_TOGETHER, job_.n_rows - row);
      read_columns(job_, first, list.width, row, row + rows, columns, DEAL_LENGTH);
      deal(list, first, copy, row, row + rows, [&](std::size_t at, std::size_t c, const std::uint8_t* eight) {
        std::memcpy(buckets + c * DEAL_TOGETHER + (at - row), eight, 8);
      });
      for (std::size_t c = 0; c < list.width; ++c) {
        const Item* const column = columns + c * DEAL_LENGTH;
        const std::uint8_t* const bucket = buckets + c * DEAL_TOGETHER;
        std::uint32_t* const head = table.head[c];
        for (std::size_t b = 0; b < std::size_t{1} << bits_; ++b) {
          __builtin_prefetch(place(list, out, head[b]), 1, 3);
          __builtin_prefetch(place(list, out, head[b]) + WIDTH - 1, 1, 3);
          __builtin_prefetch(place(list, out, head[b] + WIDTH), 1, 3);
        }
#pragma GCC unroll 4
        for (std::size_t i = 0; i < rows; ++i) *place(list, out, head[bucket[i]]++) = column[i];
      }
    }
  }

  // Calls each(row, column, the buckets of eight rows) for rows [begin, end).
  template <class L, class Each>
  DUALWALK_FN void deal(L list, std::size_t first, std::size_t copy, std::size_t begin, std::size_t end, Each each) const {
    std::uint32_t block[DRAW_COLUMNS];
    blocks_of(job_, first, list.width, block);
    std::uint8_t buckets[DEAL_ROWS / 8][DRAW_COLUMNS][8];
    for (std::size_t row = begin; row < end; row += DEAL_ROWS) {
      draw_buckets({job_.seed, DEAL, static_cast<std::uint32_t>(copy), 0}, block, row, bits_, buckets);
      for (std::size_t i = 0; i < smaller(DEAL_ROWS, end - row); i += 8)
        for (std::size_t c = 0; c < list.width; ++c) each(row + i, c, buckets[i / 8][c]);
    }
  }

  template <class L>
  void take_up(L list, std::size_t first, std::size_t copy, const Tables& table, Item* out, Item* columns,
               std::size_t length) const {
    std::size_t written = 0, ends[WIDTH] = {};  // rows of the result; rows of each column that have been taken up
    std::uint32_t element = 0;
    for (std::size_t b = 0; b < std::size_t{1} << bits_; ++b) {
      std::size_t whole = job_.n_rows;
      Leaf leaves[WIDTH];
      for (std::size_t c = 0; c < list.width; ++c) {
        const std::uint32_t size = table.size[c][b];
        Item* const leaf = columns + c * length + (ends[c] - written);
        List::take(list, out, element, size, leaf);
        const auto block = static_cast<std::uint32_t>(job_.block[first + c]);
        leaves[c] = {{job_.seed, job_.operation, static_cast<std::uint32_t>(copy), block},
                     first_draw(ends[c], static_cast<std::uint32_t>(b)), size, leaf};
        element += size;
        whole = smaller(whole, ends[c] += size);
      }
      for (std::size_t c = 0; c < list.width; c += TOGETHER) shuffle(leaves + c, smaller(TOGETHER, list.width - c));
      List::write_rows(list, columns, length, whole - written, out, written);
      for (std::size_t c = 0; c < list.width; ++c)
        std::memmove(columns + c * length, columns + c * length + (whole - written), (ends[c] - whole) * sizeof(Item));
      written = whole;
    }
  }

  // Fisher-Yates in a few columns at a time: with one alone, a number is often read while the store of it is still under way.
  struct Leaf {
    Stream stream;
    std::uint64_t first;
    std::size_t size;
    Item* at;
  };
  void shuffle(const Leaf* leaf, std::size_t n_leaves) const {
    std::uint32_t draws[TOGETHER][RUN_ROWS];
    std::size_t longest = 0;
    for (std::size_t k = 0; k < n_leaves; ++k) longest = larger(longest, leaf[k].size);
    for (std::size_t group = 0; group < longest; group += RUN_ROWS) {
      std::size_t rows[TOGETHER], common = RUN_ROWS;
      for (std::size_t k = 0; k < n_leaves; ++k) {
        rows[k] = leaf[k].size > group ? smaller(leaf[k].size - group, RUN_ROWS) : 0;
        common = smaller(common, rows[k]);
        const LinearBound bound{1, static_cast<std::uint32_t>(1 - leaf[k].first)};
        if (rows[k]) draw_run(leaf[k].stream, leaf[k].first + group, bound, 1, draws[k]);
      }
      if (n_leaves < TOGETHER) common = 0;
      for (std::size_t i = 0; i < common; ++i)
#pragma GCC unroll 4
        for (std::size_t k = 0; k < TOGETHER; ++k) exchange(leaf[k].at, group + i, draws[k][place_in_run(i)]);
      for (std::size_t k = 0; k < n_leaves; ++k)
        for (std::size_t i = common; i < rows[k]; ++i) exchange(leaf[k].at, group + i, draws[k][place_in_run(i)]);
    }
  }
  DUALWALK_FN static void exchange(Item* column, std::size_t i, std::size_t j) {
    const Item held = column[j];
    column[j] = column[i];
    column[i] = held;
  }

  const std::uint32_t bits_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
