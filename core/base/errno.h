/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * errno.h - the error numbers of the interface, where there is no <errno.h>.
 *
 * Linux's values, on every platform: they are part of the ABI, since functions
 * return them negated.
 */
#ifndef GLN_CORE_BASE_ERRNO_H
#define GLN_CORE_BASE_ERRNO_H

#if GLN_HOSTED
#include <errno.h>
#else
#define ENOENT	2
#define EIO	5
#define ENXIO	6
#define E2BIG	7
#define EAGAIN	11
#define ENOMEM	12
#define EFAULT	14
#define EBUSY	16
#define EEXIST	17
#define EINVAL	22
#define ENOTTY	25
#define EFBIG	27
#define ENOSPC	28
#define ERANGE	34
#define ENOTSUP 95
#endif

#endif
