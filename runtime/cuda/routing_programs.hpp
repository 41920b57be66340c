// Kernels around the experts and of collectives within one device, one block a row: the definitions of runtime/host_routing.hpp and
// runtime/exchange_data.cpp. Knows no launches.
#pragma once

#include <cmath>
#include <cstdint>

#include "runtime/cuda/row_programs.hpp"

namespace fabricast::runtime::cuda {

/// As RouterChoice of host_routing.hpp.
struct Choice {
  float weight;
  std::int32_t expert;
};

/// Softmax of a row of scores; the weights of the row's experts, renormalised to a sum of 1 over those kept (negative: dropped, weight 0).
struct ChooseExperts {
  const float* scores;              // [rows, experts]
  const std::int32_t* chosen;       // [rows, top_k]
  Choice* out;                      // [rows, top_k]
  std::int64_t experts, top_k;

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t row) const {
    const float* const of_row = scores + row * experts;
    const std::int32_t* const kept = chosen + row * top_k;
    const auto step = static_cast<std::int64_t>(block.threads());
    const float highest = block.maximum([&](int thread) {
      float most = of_row[0];
      for (std::int64_t e = thread; e < experts; e += step) most = of_row[e] > most ? of_row[e] : most;
      return most;
    });
    const float all = block.sum([&](int thread) {
      float sum = 0.0F;
      for (std::int64_t e = thread; e < experts; e += step) sum += std::exp(of_row[e] - highest);
      return sum;
    });
    const auto probability = [&](std::int64_t j) { return kept[j] < 0 ? 0.0F : std::exp(of_row[kept[j]] - highest) / all; };
    float of_kept = 0.0F;
    for (std::int64_t j = 0; j < top_k; ++j) of_kept += probability(j);
    deal(block, top_k, [&](std::int64_t j) { out[row * top_k + j] = {of_kept > 0.0F ? probability(j) / of_kept : 0.0F, kept[j]}; });
  }
};

/// Row i of `out` is row rows[i] of `in`; Unit: 16 bytes, or fewer.
template <class Unit>
struct PermuteRows {
  const Unit* in;
  const std::int32_t* rows;
  Unit* out;
  std::int64_t count;               // units in a row

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t row) const {
    const Unit* const from = in + rows[row] * count;
    deal(block, count, [&](std::int64_t i) { out[row * count + i] = from[i]; });
  }
};

/// out[token] = Σ over choices of weight · in[places[token · top_k + choice]], in their order; places < 0 count nothing.
template <class Element, class Unit>
struct SumWeighted {
  const Element* in;
  const std::int32_t* places;
  const Choice* choices;
  Element* out;
  std::int64_t width, top_k;

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t token) const {
    const std::int64_t count = width / Unit::count;
    deal(block, count, [&](std::int64_t i) {
      float sums[Unit::count] = {};
      for (std::int64_t j = token * top_k; j < (token + 1) * top_k; ++j) {
        if (places[j] < 0) continue;
        const Unit from = units<Unit>(in)[places[j] * count + i];
        for (int e = 0; e < Unit::count; ++e) sums[e] += choices[j].weight * from.get(e);
      }
      Unit result;
      for (int e = 0; e < Unit::count; ++e) result.set(e, sums[e]);
      units<Unit>(out)[token * count + i] = result;
    });
  }
};

/// A copy within the device's memory.
struct Copy {
  const std::byte* from;
  std::byte* to;
  std::int64_t bytes;
};

/// One copy for each row. 16 bytes at a time where both ends allow.
struct CopyPieces {
  const Copy* copies;

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t piece) const {
    const Copy copy = copies[piece];
    if (copy.from == copy.to) return;
    const auto ends = reinterpret_cast<std::uintptr_t>(copy.from) | reinterpret_cast<std::uintptr_t>(copy.to);
    const std::int64_t packs = ends % 16 == 0 ? copy.bytes / 16 : 0;
    using Unit = Pack<float>;
    deal(block, packs, [&](std::int64_t i) { reinterpret_cast<Unit*>(copy.to)[i] = reinterpret_cast<const Unit*>(copy.from)[i]; });
    deal(block, copy.bytes - 16 * packs, [&](std::int64_t i) { copy.to[16 * packs + i] = copy.from[16 * packs + i]; });
  }
};

/// out[i] = Σ over members of in_member[first + i], in member order, rounded once; a row is `chunk` elements.
template <class Element>
struct SumMembers {
  static constexpr std::int64_t chunk = 4096;
  const std::byte* const* inputs;   // by member, in device memory
  std::int32_t members;
  std::int64_t first, elements;
  Element* out;

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t row) const {
    const std::int64_t begin = row * chunk, count = elements - begin < chunk ? elements - begin : chunk;
    deal(block, count, [&](std::int64_t i) {
      float sum = 0.0F;
      for (std::int32_t m = 0; m < members; ++m) sum += to_float(reinterpret_cast<const Element*>(inputs[m])[first + begin + i]);
      store(sum, out[begin + i]);
    });
  }
};

}  // namespace fabricast::runtime::cuda
