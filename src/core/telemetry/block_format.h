/* block_format: the head of a block; for its writer and its reader. */
#ifndef PS_CORE_TELEMETRY_BLOCK_FORMAT_H
#define PS_CORE_TELEMETRY_BLOCK_FORMAT_H

enum {
    PS_BLOCK_VERSION = 1,
    PS_BLOCK_HEAD_BYTES = 1 + 8,
};

#endif
