/* bandwidth.h - bytes per second between the registers and the memory that holds a block. */
#ifndef SEQC_TESTS_BENCH_BANDWIDTH_H
#define SEQC_TESTS_BENCH_BANDWIDTH_H

/* What is done with each byte. All bytes that the program reads or writes are counted, no more: a copy of n bytes is 2 n. */
typedef enum Traffic {
  TRAFFIC_READ,   /* read only */
  TRAFFIC_COPY,   /* one half read, the other written */
  TRAFFIC_UPDATE, /* read, and written in the same place */
  TRAFFIC_COUNT
} Traffic;

/* Bytes per second with a block of `bytes` in all, of which each thread has its part; 0 when there is no memory for it. The
 * best that was measured for such a block so far; it is measured again now and then. */
double bandwidth(Traffic traffic, int threads, double bytes);

/* The same of one pass now, over a block that this process keeps. */
double bandwidth_now(Traffic traffic, int threads, double bytes);

/* Where a block of so many bytes in all lies when each thread works on its part: "L1", "L2", "L3" or "DRAM". */
const char *memory_level(int threads, double bytes);

/* Bytes of the cache of a level, 1 to 3, that one core has or shares; 0 when it is not known. */
double cache_size(int level);

#endif
