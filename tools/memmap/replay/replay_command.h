/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `memmap replay`: what a log tells.
 */
#ifndef MEMMAP_TOOL_REPLAY_COMMAND_H
#define MEMMAP_TOOL_REPLAY_COMMAND_H

/** Run `memmap replay`; argv[0] is "replay". Returns the exit status. */
int replay_command(int argc, char **argv);

#endif /* MEMMAP_TOOL_REPLAY_COMMAND_H */
