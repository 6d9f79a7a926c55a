#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

#include "oxplow/apps/cli/commands.h"

int main(int argc, char** argv) {
  CLI::App app{"Oxplow: machine learning on CPUs", "oxplow"};
  app.set_version_flag("--version", "oxplow " OXPLOW_VERSION);
  app.require_subcommand(1);
  app.footer("`oxplow COMMAND --help` tells more about a command.");
  int status = 0;
#define OXPLOW_COMMAND(name) oxplow::cli::add_##name(app, status);
#include "oxplow/apps/cli/commands.inc"
#undef OXPLOW_COMMAND

  if (argc < 2) {
    std::fputs(app.help().c_str(), stderr);
    return 2;
  }
  const auto commands = app.get_subcommands(nullptr);
  const auto is_named = [&](const CLI::App* command) { return command->check_name(argv[1]); };
  const bool is_option = argv[1][0] == '-';
  if (is_option ? app.get_option_no_throw(argv[1]) == nullptr : std::none_of(commands.begin(), commands.end(), is_named)) {
    std::fprintf(stderr, "oxplow: there is no %s '%s'; `oxplow --help` lists them\n", is_option ? "option" : "command", argv[1]);
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help and --version end parsing too
    const auto chosen = app.get_subcommands();
    const std::string command = chosen.empty() ? "oxplow" : "oxplow " + chosen.front()->get_name();
    std::fprintf(stderr, "%s: %s; `%s --help` lists what there is\n", command.c_str(), error.what(), command.c_str());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "oxplow: %s\n", error.what());
    return 1;
  }
  return status;
}
