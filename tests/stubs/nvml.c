/* libnvidia-ml.so.1 without a card: the functions of nvml.h, API version 13, that the recorder calls. Card 0 is whole, card 1 in slices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, DRIVER_NOT_LOADED = 9 };

static int cards[2], slice;

static int is_mode(const char *mode)
{
	const char *set = getenv("HPS_STUB_NVML");

	return set && !strcmp(set, mode);
}

static int card_of(void *device)
{
	return device == &cards[1];
}

static int text(char *to, unsigned len, const char *value)
{
	return snprintf(to, len, "%s", value) < (int)len ? OK : 7;
}

int nvmlInit_v2(void)
{
	if (is_mode("hang"))
		pause();
	if (is_mode("crash"))
		abort();
	return is_mode("fail") ? DRIVER_NOT_LOADED : OK;
}
int nvmlShutdown(void) { return OK; }
int nvmlSystemGetDriverVersion(char *to, unsigned len) { return text(to, len, "580.65.06"); }
int nvmlSystemGetCudaDriverVersion_v2(int *v) { *v = 13000; return OK; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device) { *device = &cards[i]; return i < 2 ? OK : NOT_FOUND; }
int nvmlDeviceGetName(void *d, char *to, unsigned len) { return text(to, len, d == &slice ? "Test MIG 1g.10gb" : "Test H100"); }
int nvmlDeviceGetUUID(void *d, char *to, unsigned len) { return text(to, len, d == &slice ? "MIG-11111111-2222" : card_of(d) ? "GPU-bbbbbbbb-0001" : "GPU-aaaaaaaa-0000"); }
int nvmlDeviceGetSerial(void *d, char *to, unsigned len) { return card_of(d) ? NOT_SUPPORTED : text(to, len, "1654321"); }
int nvmlDeviceGetVbiosVersion(void *d, char *to, unsigned len) { (void)d; return text(to, len, "96.00.74.00.01"); }
int nvmlDeviceGetInforomImageVersion(void *d, char *to, unsigned len) { (void)d; return text(to, len, "G520.0200.00.05"); }
int nvmlDeviceGetMinorNumber(void *d, unsigned *n) { *n = card_of(d) ? 3 : 0; return OK; }
int nvmlDeviceGetCudaComputeCapability(void *d, int *major, int *minor) { (void)d; *major = 9; *minor = 0; return OK; }
int nvmlDeviceGetEccMode(void *d, unsigned *current, unsigned *pending) { (void)d; *current = *pending = 1; return OK; }
int nvmlDeviceGetMigMode(void *d, unsigned *current, unsigned *pending) { *current = *pending = (unsigned)card_of(d); return OK; }
int nvmlDeviceGetMaxMigDeviceCount(void *d, unsigned *n) { (void)d; *n = 7; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *d, unsigned i, void **to) { (void)d; *to = &slice; return i == 2 ? OK : NOT_FOUND; }
int nvmlDeviceGetGpuInstanceId(void *d, unsigned *n) { (void)d; *n = 9; return OK; }
int nvmlDeviceGetComputeInstanceId(void *d, unsigned *n) { (void)d; *n = 0; return OK; }
int nvmlDeviceGetAttributes_v2(void *d, void *to)
{
	struct {
		unsigned multiprocessors, engines[7];
		unsigned long long mib;
	} a = { 14, { 0 }, 9856 };

	(void)d;
	memcpy(to, &a, sizeof a);
	return OK;
}
int nvmlDeviceGetClockInfo(void *d, unsigned type, unsigned *n) { (void)d; *n = 1000 + type; return OK; }
int nvmlDeviceGetMaxClockInfo(void *d, unsigned type, unsigned *n) { (void)d; *n = 2000 + type; return OK; }
int nvmlDeviceGetCurrentClocksEventReasons(void *d, unsigned long long *bits) { (void)d; *bits = 4; return OK; }
int nvmlDeviceGetTotalEccErrors(void *d, unsigned type, unsigned counter, unsigned long long *n) { (void)d; (void)counter; *n = type ? 0 : 5; return OK; }
int nvmlDeviceGetPciInfo_v3(void *d, void *to)
{
	char info[68] = { 0 };

	strcpy(info + 36, card_of(d) ? "00000000:C1:00.0" : "00000000:41:00.0");
	memcpy(to, info, sizeof info);
	return OK;
}
