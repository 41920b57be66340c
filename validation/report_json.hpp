// Parts of a report as JSON, for those who write documents that hold them. Knows no file.
#pragma once

#include "validation/json_writer.hpp"
#include "validation/report.hpp"

namespace fabricast::validation {

/// All fields of "fabricast.report/1" into an object that is already open.
void write_report(JsonWriter& json, const Report& report);

/// The fields "memory" and "expert_load".
void write_memory(JsonWriter& json, const MemorySummary& memory);
void write_expert_load(JsonWriter& json, const ExpertLoad& load);

}  // namespace fabricast::validation
