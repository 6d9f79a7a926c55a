#include <algorithm>
#include <cstdio>
#include <exception>

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
  if (argv[1][0] != '-' && std::none_of(commands.begin(), commands.end(), is_named)) {
    std::fprintf(stderr, "oxplow: there is no command '%s'; `oxplow --help` lists them\n", argv[1]);
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;  // --help and --version end parsing too, with 0
  } catch (const std::exception& error) {
    std::fprintf(stderr, "oxplow: %s\n", error.what());
    return 1;
  }
  return status;
}
