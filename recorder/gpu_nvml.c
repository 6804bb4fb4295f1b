/* NVIDIA's cards through the driver's own library, opened by name: names, layouts and codes are those of nvml.h, API version 13. A call that the
 * library has not, or that the card does not know, is a row that says so. */
#include "recorder/gpu.h"

#include <dlfcn.h>
#include <string.h>

#include "recorder/identity.h"

#define GPUS_MAX 64
#define MIG_MAX 16

/* dlsym gives a data pointer for a function; POSIX allows this conversion, ISO C does not, hence the copy. */
static bool symbol(void *library, const char *name, void *ret_function)
{
	void *address = dlsym(library, name);

	memcpy(ret_function, &address, sizeof address);
	return address != NULL;
}

/* nvmlReturn_t */
static const char *meaning(int code)
{
	static const struct {
		int code;
		const char *text;
	} codes[] = {
		{ 1, "not initialized" }, { 2, "invalid argument" }, { 3, "not supported by this card" }, { 4, "no permission" }, { 6, "not found" },
		{ 7, "insufficient size" }, { 9, "driver not loaded" }, { 12, "library not found" }, { 13, "function not found" },
		{ 15, "the card is lost: it fell off the bus" }, { 18, "driver and library differ in version" }, { 25, "argument version mismatch" }, { 999, "unknown error" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].code == code)
			return codes[i].text;
	return "an error without a name";
}

/* How a call gives its answer. */
enum shape {
	TEXT,	     /* (device, char *, unsigned length) */
	NUMBER,	     /* (device, unsigned *) */
	PAIR,	     /* (device, unsigned *, unsigned *): current and pending, major and minor */
	OF_TYPE,     /* (device, type, unsigned *) */
	BITS,	     /* (device, unsigned long long *) */
	ECC_ERRORS,  /* (device, error type, counter type, unsigned long long *) */
	REMAPPED,    /* (device, 4 x unsigned *) */
};
struct call {
	const char *fact, *symbol;
	enum shape shape;
	unsigned type;	    /* OF_TYPE, ECC_ERRORS */
	const char *format; /* of the numbers; NULL: "%u" */
};
static const struct call facts[] = {
	{ "name", "nvmlDeviceGetName", TEXT, 0, NULL },
	{ "uuid", "nvmlDeviceGetUUID", TEXT, 0, NULL },
	{ "serial", "nvmlDeviceGetSerial", TEXT, 0, NULL },
	{ "vbios", "nvmlDeviceGetVbiosVersion", TEXT, 0, NULL },
	{ "inforom", "nvmlDeviceGetInforomImageVersion", TEXT, 0, NULL },
	{ "board", "nvmlDeviceGetBoardPartNumber", TEXT, 0, NULL },
	{ "device", "nvmlDeviceGetMinorNumber", NUMBER, 0, "/dev/nvidia%u" },
	{ "architecture", "nvmlDeviceGetArchitecture", NUMBER, 0, NULL },
	{ "computeCapability", "nvmlDeviceGetCudaComputeCapability", PAIR, 0, "%u.%u" },
	{ "cores", "nvmlDeviceGetNumGpuCores", NUMBER, 0, NULL },
	{ "eccMode", "nvmlDeviceGetEccMode", PAIR, 0, "%u, pending %u" },
	{ "migMode", "nvmlDeviceGetMigMode", PAIR, 0, "%u, pending %u" },
	{ "computeMode", "nvmlDeviceGetComputeMode", NUMBER, 0, NULL },
	{ "persistenceMode", "nvmlDeviceGetPersistenceMode", NUMBER, 0, NULL },
	{ "powerLimitMilliwatts", "nvmlDeviceGetEnforcedPowerLimit", NUMBER, 0, NULL },
	{ "maxSmClockMHz", "nvmlDeviceGetMaxClockInfo", OF_TYPE, 1, NULL },
	{ "maxMemoryClockMHz", "nvmlDeviceGetMaxClockInfo", OF_TYPE, 2, NULL },
};
/* What a trial may change, or what may change it. */
static const struct call states[] = {
	{ "graphicsClockMHz", "nvmlDeviceGetClockInfo", OF_TYPE, 0, NULL },
	{ "smClockMHz", "nvmlDeviceGetClockInfo", OF_TYPE, 1, NULL },
	{ "memoryClockMHz", "nvmlDeviceGetClockInfo", OF_TYPE, 2, NULL },
	{ "clockEventReasons", "nvmlDeviceGetCurrentClocksEventReasons", BITS, 0, NULL },
	{ "eccCorrected", "nvmlDeviceGetTotalEccErrors", ECC_ERRORS, 0, NULL },
	{ "eccUncorrected", "nvmlDeviceGetTotalEccErrors", ECC_ERRORS, 1, NULL },
	{ "remappedRows", "nvmlDeviceGetRemappedRows", REMAPPED, 0, NULL },
	{ "uuid", "nvmlDeviceGetUUID", TEXT, 0, NULL },
};

static char *number_text(const struct call *c, unsigned a, unsigned b)
{
	const char *format = c->format ? c->format : "%u";
	struct hps_buf out = HPS_BUF_INIT;

	/* The formats are the constants above, with one "%u" or two. */
	for (const char *at = format; *at; at++) {
		if (at[0] == '%' && at[1] == 'u') {
			hps_buf_addf(&out, "%u", a);
			a = b;
			at++;
		} else {
			hps_buf_addc(&out, *at);
		}
	}
	return hps_buf_take(&out);
}

/* The answer as text (heap), or NULL with the code; 13 when the library has no such function. */
static char *ask(void *library, void *device, const struct call *c, int *ret_code)
{
	union {
		int (*text)(void *, char *, unsigned);
		int (*number)(void *, unsigned *);
		int (*pair)(void *, unsigned *, unsigned *);
		int (*of_type)(void *, unsigned, unsigned *);
		int (*bits)(void *, unsigned long long *);
		int (*ecc)(void *, unsigned, unsigned, unsigned long long *);
		int (*remapped)(void *, unsigned *, unsigned *, unsigned *, unsigned *);
	} f;
	unsigned n[4] = { 0 };
	unsigned long long bits = 0;
	char text[97] = "";

	*ret_code = 13;
	if (!symbol(library, c->symbol, &f))
		return NULL;
	switch (c->shape) {
	case TEXT:
		*ret_code = f.text(device, text, sizeof text - 1);
		return *ret_code ? NULL : hps_strdup(text);
	case NUMBER:
		*ret_code = f.number(device, &n[0]);
		return *ret_code ? NULL : number_text(c, n[0], 0);
	case PAIR:
		*ret_code = f.pair(device, &n[0], &n[1]);
		return *ret_code ? NULL : number_text(c, n[0], n[1]);
	case OF_TYPE:
		*ret_code = f.of_type(device, c->type, &n[0]);
		return *ret_code ? NULL : number_text(c, n[0], 0);
	case BITS:
		*ret_code = f.bits(device, &bits);
		return *ret_code ? NULL : hps_format("0x%llx", bits);
	case ECC_ERRORS:
		*ret_code = f.ecc(device, c->type, 0, &bits); /* counted since the driver was loaded */
		return *ret_code ? NULL : hps_format("%llu", bits);
	case REMAPPED:
		*ret_code = f.remapped(device, &n[0], &n[1], &n[2], &n[3]);
		return *ret_code ? NULL : hps_format("corrected %u, uncorrected %u, pending %u, failed %u", n[0], n[1], n[2], n[3]);
	}
	return NULL;
}

static void add_calls(const struct hps_gpus *g, void *library, void *device, const struct call *calls, size_t n, const char *prefix)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *fact = hps_format("%s%s%s", prefix ? prefix : "", prefix ? "." : "", calls[i].fact), *value = NULL, *why = NULL;
		int code;

		value = ask(library, device, &calls[i], &code);
		if (value) {
			hps_gpu_add(g, fact, value, "nvml");
			continue;
		}
		why = hps_format("%s: %s (%d)", calls[i].symbol, code == 13 ? "this driver's library has no such call" : meaning(code), code);
		hps_gpu_missing(g, fact, why);
	}
}

/* nvmlPciInfo_t: 68 bytes, the bus id at 36. */
static void add_bus(const struct hps_gpus *g, void *library, void *device)
{
	int (*get)(void *, void *);
	struct {
		char legacy[16];
		unsigned domain, bus, device, pci_device, pci_subsystem;
		char bus_id[32];
	} info = { 0 };

	if (symbol(library, "nvmlDeviceGetPciInfo_v3", &get) && get(device, &info) == 0) {
		info.bus_id[31] = '\0';
		hps_gpu_add(g, "bus", info.bus_id, "nvml");
	} else {
		hps_gpu_missing(g, "bus", "nvmlDeviceGetPciInfo_v3 gave no answer");
	}
}

/* A slice of a card: nvmlDeviceAttributes_t is 8 unsigned and the memory in MiB. */
static void add_slice(const struct hps_gpus *g, void *library, void *device, unsigned slice)
{
	static const struct call calls[] = {
		{ "uuid", "nvmlDeviceGetUUID", TEXT, 0, NULL },
		{ "gpuInstance", "nvmlDeviceGetGpuInstanceId", NUMBER, 0, NULL },
		{ "computeInstance", "nvmlDeviceGetComputeInstanceId", NUMBER, 0, NULL },
	};
	_cleanup_free_ char *prefix = hps_format("mig.%u", slice), *fact = hps_format("mig.%u.size", slice), *size = NULL;
	int (*attributes)(void *, void *);
	struct {
		unsigned multiprocessors, engines[7];
		unsigned long long mib;
	} a = { 0 };

	add_calls(g, library, device, calls, ARRAY_SIZE(calls), prefix);
	if (!symbol(library, "nvmlDeviceGetAttributes_v2", &attributes) || attributes(device, &a))
		return;
	size = hps_format("%u multiprocessors, %llu MiB", a.multiprocessors, a.mib);
	hps_gpu_add(g, fact, size, "nvml");
}

static void add_slices(const struct hps_gpus *g, void *library, void *device)
{
	int (*mode)(void *, unsigned *, unsigned *), (*count)(void *, unsigned *), (*at)(void *, unsigned, void **);
	unsigned current = 0, pending = 0, n = 0;

	if (!symbol(library, "nvmlDeviceGetMigMode", &mode) || mode(device, &current, &pending) || !current ||
	    !symbol(library, "nvmlDeviceGetMaxMigDeviceCount", &count) || count(device, &n) || !symbol(library, "nvmlDeviceGetMigDeviceHandleByIndex", &at))
		return;
	for (unsigned i = 0; i < n && i < MIG_MAX; i++) {
		void *slice = NULL;

		if (at(device, i, &slice) == 0) /* there may be holes */
			add_slice(g, library, slice, i);
	}
}

static void add_device(const struct hps_gpus *g, void *library, void *device)
{
	if (strcmp(g->moment, "after") != 0) {
		add_calls(g, library, device, facts, ARRAY_SIZE(facts), NULL);
		add_bus(g, library, device);
		add_slices(g, library, device);
	}
	add_calls(g, library, device, states, ARRAY_SIZE(states), g->moment);
}

static void add_system(const struct hps_gpus *g, void *library)
{
	int (*text)(char *, unsigned), (*number)(int *);
	_cleanup_free_ char *cuda = NULL;
	char version[81] = "";
	int v = 0;

	if (symbol(library, "nvmlSystemGetDriverVersion", &text) && text(version, sizeof version - 1) == 0)
		hps_identity_add(g->rows, "gpu.driver", version, "nvml", HPS_OBSERVED);
	else
		hps_identity_missing(g->rows, "gpu.driver", "nvmlSystemGetDriverVersion gave no answer");
	if (symbol(library, "nvmlSystemGetCudaDriverVersion_v2", &number) && number(&v) == 0) {
		cuda = hps_format("%d.%d", v / 1000, v % 1000 / 10);
		hps_identity_add(g->rows, "gpu.cuda", cuda, "nvml", HPS_OBSERVED);
	}
}

bool hps_gpu_nvml(struct hps_gpus *g)
{
	void *library = dlopen(g->library ? g->library : "libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
	int (*init)(void), (*shutdown)(void), (*count)(unsigned *), (*at)(unsigned, void **), code;
	_cleanup_free_ char *why = NULL;
	unsigned n = 0, before = g->n;

	if (!library)
		return false;
	if (!symbol(library, "nvmlInit_v2", &init) || !symbol(library, "nvmlShutdown", &shutdown) || !symbol(library, "nvmlDeviceGetCount_v2", &count) ||
	    !symbol(library, "nvmlDeviceGetHandleByIndex_v2", &at))
		return false;
	code = init();
	if (code) {
		why = hps_format("nvmlInit_v2: %s (%d)", meaning(code), code);
		hps_identity_missing(g->rows, "gpu.nvml", why);
		return false;
	}
	if (strcmp(g->moment, "after") != 0)
		add_system(g, library);
	for (unsigned i = 0; count(&n) == 0 && i < n && i < GPUS_MAX; i++) {
		void *device = NULL;

		code = at(i, &device);
		why = code ? hps_format("nvmlDeviceGetHandleByIndex_v2: %s (%d)", meaning(code), code) : NULL;
		if (code)
			hps_gpu_missing(g, "uuid", why);
		else
			add_device(g, library, device);
		hps_cleanup_free(&why);
		why = NULL;
		g->n++;
	}
	shutdown();
	return g->n > before;
}
