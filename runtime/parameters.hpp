// Fills a rank's parameters and inputs before the first step, from the seed. Knows no model: the schedule says which part of which full
// matrix a buffer holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "hardware_models/kernels.hpp"
#include "strategies/ir/memory_plan.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::runtime {

void fill_parameters(const ir::Schedule& schedule, Rank rank, const ir::MemoryPlan& plan, hw::Precision precision, std::uint64_t seed,
                     std::span<std::byte> memory);

/// Token ids of every micro-batch.
void fill_inputs(const ir::Schedule& schedule, Rank rank, const ir::MemoryPlan& plan, std::uint64_t seed, std::span<std::byte> memory);

}  // namespace fabricast::runtime
