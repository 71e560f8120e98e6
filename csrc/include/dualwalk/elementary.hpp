// exp, log and friends without a branch, for one number or a vector of them: V is float, double or a vector of either.
// The polynomials are Chebyshev fits made for this file; stated errors are those of the whole function, in units in the last
// place (ULP), measured over the range in tests/test_elementary.py.
#pragma once

#include "config.hpp"

namespace dualwalk {

// The number inside V and the integer types of the same shape, signed and unsigned (where sums and shifts may wrap around); vector types specialize this where they are defined.
template <class V>
struct Lanes;
template <>
struct Lanes<float> {
  using Number = float;
  using Integer = std::int32_t;
  using Bits = std::uint32_t;
};
template <>
struct Lanes<double> {
  using Number = double;
  using Integer = std::int64_t;
  using Bits = std::uint64_t;
};
template <class V>
using Number = typename Lanes<V>::Number;
template <class V>
using Integer = typename Lanes<V>::Integer;
template <class V>
using Bits = typename Lanes<V>::Bits;

template <class V>
DUALWALK_FN V splat(Number<V> number) {
  return number - V{};  // -0.0 survives: number - (+0.0) is number
}

template <class T>
struct Format;
template <>
struct Format<float> {
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float rounder = 12582912.0f, log2e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  static constexpr float lowest_exponent = -105.0f, highest_exponent = 89.0f, least_normal = -86.5f;
};
template <>
struct Format<double> {
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double rounder = 6755399441055744.0, log2e = 1.4426950408889634074;
  static constexpr double ln2 = 0.69314718055994530942, ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
  static constexpr double lowest_exponent = -750.0, highest_exponent = 710.0, least_normal = -707.5;
};

template <class V>
DUALWALK_FN V polynomial(V, Number<V> last) {
  return splat<V>(last);
}
template <class V, class... Rest>
DUALWALK_FN V polynomial(V x, Number<V> first, Rest... rest) {
  return polynomial(x, static_cast<Number<V>>(rest)...) * x + first;
}

template <class V>
DUALWALK_FN V exp_tail(V r, float) {  // (exp(r) - 1 - r) / r^2 on [-ln2/2, ln2/2]
  return polynomial(r, 0.5f, 0.16666576846f, 0.041666554438f, 0.0083632029716f, 0.0013926213466f);
}
template <class V>
DUALWALK_FN V exp_tail(V r, double) {
  return polynomial(r, 0.50000000000000010262, 0.16666666666666667456, 0.041666666666623991516, 0.0083333333333300513464,
                    0.0013888888917281793308, 0.00019841269863105968748, 0.000024801521190217727651,
                    2.7557268378684192873e-6, 2.7620138719733995569e-7, 2.5100424157005066788e-8);
}

// The same to 1.2e-12 with three coefficients less, for single-precision x widened to double.
template <class V>
DUALWALK_FN V short_exp_tail(V r) {
  return polynomial(r, 0.499999999995199625, 0.16666666786585350865, 0.041666667053886859079, 0.008333281284336479949,
                    0.001388879647621942503, 0.00019909234570714257213, 0.00002488758568570707177);
}

// exp(x) as (exp(r), n) with x = n ln 2 + r: the shared part of the functions below.
template <class V>
DUALWALK_FN V reduced_exponential(V x, Integer<V>& power) {
  using T = Number<V>;
  using F = Format<T>;
  const V shifted = x * F::log2e + F::rounder;  // the nearest integer to x / ln 2, in the low bits
  const V n = shifted - F::rounder;
  const V r = (x - n * F::ln2_high) - n * F::ln2_low;
  power = bits_as<Integer<V>>(bits_as<Bits<V>>(shifted) - bits_as<Bits<V>>(splat<V>(F::rounder)));
  return (r * r) * exp_tail(r, T{}) + r + T{1};
}

// exp(x): at most 1.1 ULP, denormal results included; NaN stays NaN, -inf gives 0, +inf gives +inf.
template <class V>
DUALWALK_FN V exponential(V x) {
  using T = Number<V>;
  using I = Integer<V>;
  using F = Format<T>;
  x = x < F::lowest_exponent ? splat<V>(F::lowest_exponent) : x;
  x = x > F::highest_exponent ? splat<V>(F::highest_exponent) : x;
  I power;
  const V grown = reduced_exponential(x, power);
  // 2^n in two factors, so that neither overflows where the result does not
  const I half = power >> 1;
  const Bits<V> first = bits_as<Bits<V>>(half + F::bias), second = bits_as<Bits<V>>(power - half + F::bias);
  return grown * bits_as<V>(first << F::mantissa) * bits_as<V>(second << F::mantissa);
}

// exp(x) for x <= 0, results below 2^-125 (2^-1021) taken as 0: the terms of a sum that has a term 1. NaN stays NaN.
template <class V>
DUALWALK_FN V exponential_of_negative(V x) {
  using B = Bits<V>;
  using F = Format<Number<V>>;
  Integer<V> power;
  const V grown = reduced_exponential(x, power);
  const V scaled = bits_as<V>(bits_as<B>(grown) + (bits_as<B>(power) << F::mantissa));
  return x < F::least_normal ? V{} : x == x ? scaled : x;
}

template <class V>
DUALWALK_FN V atanh_tail(V u, float) {  // (atanh(s) / s - 1) / u with u = s^2, |s| <= 1/3
  return polynomial(u, 0.33333333325f, 0.20000005385f, 0.14285152861f, 0.11132355605f, 0.087323512327f, 0.10393808428f);
}
template <class V>
DUALWALK_FN V atanh_tail(V u, double) {
  return polynomial(u, 0.3333333333333333333, 0.20000000000000007739, 0.14285714285710971648, 0.11111111111665993422,
                    0.090909090430028277259, 0.076923101269020811996, 0.066665884745690892251, 0.058839988836205180801,
                    0.052401996171826370258, 0.049710124482773673141, 0.03167055425885122698, 0.076156313097144924193);
}
template <class V>
DUALWALK_FN V twice_atanh(V s) {
  const V u = s * s;
  return Number<V>{2} * (s + s * u * atanh_tail(u, Number<V>{}));
}

// log(1 + t) for t in [0, 1]: at most 1.9 ULP.
template <class V>
DUALWALK_FN V log_one_plus(V t) {
  return twice_atanh(t / (t + Number<V>{2}));
}

// log(x) for normal positive x: at most 1.9 ULP. Anything else, NaN too, gives some number.
template <class V>
DUALWALK_FN V logarithm(V x) {
  using T = Number<V>;
  using I = Integer<V>;
  using F = Format<T>;
  const I sqrt_half = bits_as<I>(splat<V>(T(0.70710678118654752)));
  const I exponent = (bits_as<I>(x) - sqrt_half) >> F::mantissa;
  const V m = bits_as<V>(bits_as<Bits<V>>(x) - (bits_as<Bits<V>>(exponent) << F::mantissa));  // in [sqrt(1/2), sqrt(2))
  // the exponent as a number, by the same trick as in exponential, backwards
  const V e = bits_as<V>(exponent + bits_as<I>(splat<V>(F::rounder))) - F::rounder;
  return e * F::ln2_high + (twice_atanh((m - T{1}) / (m + T{1})) + e * F::ln2_low);
}

template <class V>
DUALWALK_FN V sine_tail(V u, float) {  // sin(2 pi r) / r with u = r^2, |r| <= 1/8
  return polynomial(u, 6.2831853072f, -41.341702153f, 81.605204711f, -76.69786635f, 41.47283324f);
}
template <class V>
DUALWALK_FN V sine_tail(V u, double) {
  return polynomial(u, 6.2831853071795864769, -41.341702240399760234, 81.605249276075054114, -76.705859753061326979,
                    42.058693944878276244, -15.094642573239617533, 3.8199521955331221853, -0.71809764412437346969,
                    0.10338644483562410068);
}
template <class V>
DUALWALK_FN V cosine(V u, float) {  // cos(2 pi r)
  return polynomial(u, 1.0f, -19.73920865f, 64.939316136f, -85.442844673f, 59.220168958f);
}
template <class V>
DUALWALK_FN V cosine(V u, double) {
  return polynomial(u, 1.0, -19.739208802178717238, 64.93939402266829122, -85.456817206693549861, 60.244641371818104709,
                    -26.426256772545437796, 7.9035351947629579376, -1.7143161879285278382, 0.27945867147528962291);
}

// sin and cos of 2 pi u for u in [0, 1]: absolute error at most two roundings of 1.
template <class V>
DUALWALK_FN void sin_cos_turns(V u, V& sin, V& cos) {
  using T = Number<V>;
  using I = Integer<V>;
  const V shifted = u * T{4} + Format<T>::rounder;
  const V r = u - (shifted - Format<T>::rounder) * T(0.25);
  const Bits<V> quarter = bits_as<Bits<V>>(shifted);
  const V s = r * sine_tail(r * r, T{}), c = cosine(r * r, T{});
  constexpr int to_sign = 8 * sizeof(T) - 2;  // from the second lowest bit
  const Bits<V> flip_s = (quarter & 2) << to_sign, flip_c = ((quarter + 1) & 2) << to_sign;
  const I odd = (quarter & 1) != 0;
  sin = bits_as<V>(bits_as<Bits<V>>(odd ? c : s) ^ flip_s);
  cos = bits_as<V>(bits_as<Bits<V>>(odd ? s : c) ^ flip_c);
}

}  // namespace dualwalk
