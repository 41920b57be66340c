#include "runtime/cuda/sampler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "runtime/cuda/kernels.hpp"

namespace fabricast::runtime::cuda {
namespace {

constexpr std::int32_t warm_ups = 10;
constexpr std::int64_t launches_a_flush = 8;     // a launch takes the host a few µs, reading 100 MB an H100 over 30

Rows floats_of(const DeviceMemory& memory) {
  return {memory.data(), 1, static_cast<std::int64_t>(memory.span().size() / sizeof(float)), false};
}

Seconds between(cudaEvent_t begin, cudaEvent_t end) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin, end));
  return Seconds(static_cast<double>(milliseconds) * 1e-3);
}

}  // namespace

Sampler::Sampler(std::int32_t repetitions, Bytes cache, std::function<void()> when_busy)
    : repetitions_(repetitions),
      when_busy_(std::move(when_busy)),
      read_(2 * cache),
      sums_(Bytes(blocks_that_read(floats_of(read_).width) * std::int64_t{sizeof(float)})),
      start_(make_event()) {
  const Stream stream = make_stream(Priority::low);
  launch_fill_random(1, floats_of(read_), stream.get());
  check(cudaStreamSynchronize(stream.get()));
}

std::vector<std::vector<Seconds>> Sampler::sample(cudaStream_t stream, std::span<const Work> works) {
  const std::size_t needed = static_cast<std::size_t>(repetitions_) * works.size();
  begins_.clear();
  ends_.clear();
  for (std::size_t i = 0; i < needed; ++i) {
    begins_.push_back(make_event());
    ends_.push_back(make_event());
  }
  check(cudaEventRecord(start_.get(), stream));
  std::size_t next = 0;
  for (std::int32_t repetition = -warm_ups; repetition < repetitions_; ++repetition) {
    for (const Work& work : works) {
      flush(stream, 1 + work.launches / launches_a_flush);
      if (repetition >= 0) check(cudaEventRecord(begins_[next].get(), stream));
      work.enqueue();
      if (repetition >= 0) check(cudaEventRecord(ends_[next++].get(), stream));
    }
  }
  when_busy_();
  check(cudaStreamSynchronize(stream));
  std::vector<std::vector<Seconds>> times(works.size());
  for (std::size_t i = 0; i < needed; ++i) times[i % works.size()].push_back(between(begins_[i].get(), ends_[i].get()));
  return times;
}

Seconds Sampler::lasted() const { return between(start_.get(), ends_.back().get()); }

void Sampler::warm_up(cudaStream_t stream, Seconds least) const {
  constexpr std::int64_t at_once = 64;
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() < least.value()) {
    flush(stream, at_once);
    check(cudaStreamSynchronize(stream));
  }
}

std::string Sampler::method() const {
  return fmt::format("CUDA events, {} warm-ups, no wait between samples; before each sample a kernel reads {:.0f} MB, twice the L2 cache; random "
                     "data",
                     warm_ups, static_cast<double>(read_.span().size()) * 1e-6);
}

void Sampler::flush(cudaStream_t stream, std::int64_t times) const {
  for (std::int64_t i = 0; i < times; ++i) launch_read(floats_of(read_), reinterpret_cast<float*>(sums_.data()), stream);
}

}  // namespace fabricast::runtime::cuda
