// std::random_device: the processor's own random numbers. build: c++ -O2 t22_random_device.cc -o t22; out: w.txt
#include <fstream>
#include <random>
#include <string>
int main(int c, char **v)
{
	std::random_device d;
	std::mt19937 g(d());
	std::normal_distribution<double> n;
	double w = 0;
	for (int i = 0; i < 1000; i++) w += 0.01 * (n(g) - w);
	std::ofstream f(std::string(c > 1 ? v[1] : "out") + "/w.txt");
	f.precision(17);
	f << w << "\n";
	return !f;
}
