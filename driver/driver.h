/* driver.h - a whole run of seqc, from the command line to the exit code. */
#ifndef SEQC_DRIVER_DRIVER_H
#define SEQC_DRIVER_DRIVER_H

int driver_main(int argument_count, char **arguments);

#endif
