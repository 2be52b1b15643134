/* The real world of a kernel: one folder of the file system. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "kernel/kernel_io.h"

struct io_folder;

/* Creates the folder (0700) if it does not exist and locks it against other processes. ERR_BUSY:
 * somebody else has it open. */
MUST_USE enum err io_folder_open(const char *path, struct io_folder **ret_folder,
                                 struct errinfo *error);
void io_folder_close(struct io_folder *folder);

/* Valid as long as the folder. Files are opened with O_CLOEXEC and 0600. */
struct kernel_io io_folder_kernel(struct io_folder *folder);

/* Copies the file: by a second name for the same bytes where both folders are on one file system
 * (a file of a store never changes under its name, except for the log), else byte for byte. With
 * `is_kept`, the file is a run, and one that is there already stays. */
MUST_USE enum err io_folder_copy(struct io_folder *from, struct io_folder *to, const char *name,
                                 bool is_kept);

/* The processor has the CRC32C instruction. */
bool io_has_hardware_crc(void);
