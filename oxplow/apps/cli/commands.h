#pragma once

#include <CLI/CLI.hpp>

namespace oxplow::cli {

// Each registers its command with `app`; the command's callback sets `status` to the exit code: 0 done, 1 the work failed (after one
// clear line on stderr), 2 usage. `app` and `status` outlive parsing.
#define OXPLOW_COMMAND(name) void add_##name(CLI::App& app, int& status);
#include "oxplow/apps/cli/commands.inc"
#undef OXPLOW_COMMAND

}  // namespace oxplow::cli
