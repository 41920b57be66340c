// The choice of element type and access width for a launch. Knows no launches.
#pragma once

#include "runtime/cuda/kernels.hpp"

namespace fabricast::runtime::cuda {

/// Calls launch(Element{}, Unit{}) with the element type and the widest access that fits.
template <class Launch>
void with_unit(bool is_bf16, bool in_packs, Launch launch) {
  if (is_bf16) {
    in_packs ? launch(Bf16{}, Pack<Bf16>{}) : launch(Bf16{}, Single<Bf16>{});
  } else {
    in_packs ? launch(float{}, Pack<float>{}) : launch(float{}, Single<float>{});
  }
}

template <class Element>
[[nodiscard]] Element* elements(const Rows& rows) {
  return reinterpret_cast<Element*>(rows.data);
}

}  // namespace fabricast::runtime::cuda
