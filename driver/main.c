/* main.c - the program seqc. What it does stands in driver.c. */
#include "driver/driver.h"

int main(int argument_count, char **arguments) { return driver_main(argument_count, arguments); }
