// The symbolic sizes inside an op's work. Knows what they are called, not what they mean.
#pragma once

#include <variant>

#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

/// Calls visit(const Extent&), visit(const ExpertRows&) or visit(const RoutingStep&) (of an all-to-all) for each size of the work.
template <class Visit>
void for_each_size(const Work& work, Visit visit) {
  std::visit(Overloaded{[&](const hw::Gemm<Extent>& w) { visit(w.m); },
                        [&](const hw::GroupedGemm<ExpertRows>& w) { visit(w.rows); },
                        [&](const hw::Attention<Extent>& w) { visit(w.sequences); },
                        [&](const hw::Embedding<Extent>& w) { visit(w.tokens); },
                        [&](const hw::RmsNorm<Extent>& w) { visit(w.rows); },
                        [&](const hw::Rope<Extent>& w) { visit(w.rows); },
                        [&](const hw::ResidualAdd<Extent>& w) { visit(w.rows); },
                        [&](const hw::Activation<Extent>& w) { visit(w.rows); },
                        [&](const hw::Router<Extent>& w) { visit(w.rows); },
                        [&](const hw::Permute<Extent>& w) { visit(w.rows); },
                        [&](const hw::WeightedSum<Extent>& w) { visit(w.tokens), visit(w.rows); },
                        [&](const Collective& w) { visit(w.shard); },
                        [&](const AllToAll& w) { visit(w.step); },
                        [&](const Send& w) { visit(w.rows); },
                        [&](const Recv& w) { visit(w.rows); }},
             work);
}

}  // namespace fabricast::ir
