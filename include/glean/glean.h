/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * glean.h - all of glean at once, in the order to read it.
 */
#ifndef GLN_GLEAN_H
#define GLN_GLEAN_H

#include <glean/types.h>
#include <glean/vm.h>
#include <glean/slot.h>
#include <glean/log.h>
#include <glean/dirty.h>
#include <glean/view.h>
#include <glean/merge.h>
#include <glean/harvest.h>
#include <glean/workers.h>
#include <glean/vm_harvest.h>
#include <glean/stats.h>
#include <glean/kernel.h>
#include <glean/ring.h>
#include <glean/backend.h>
#include <glean/mmu.h>
#include <glean/ept.h>
#include <glean/s2.h>
#include <glean/hpte.h>
#include <glean/hpt.h>
#include <glean/model.h>
#include <glean/process.h>
#include <glean/ref.h>
#include <glean/host.h>

#endif
