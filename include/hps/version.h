/* The version of libhps and of the five programs; it is written into every record. */
#ifndef HPS_VERSION_H
#define HPS_VERSION_H

#define HPS_VERSION "0.1.0"

#endif
