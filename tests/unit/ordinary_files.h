/* Files as trials read and write them. Nothing in them is a secret, and one that is not stored is missing in a replay. */
static const struct {
	const char *name, *text;
} ordinary_files[] = {
	{ "weights.dat", "\xc3\x11://\xd8" "9Tq:\x93\xa0Z1k9\xd8Q2m7T4w8\xb1" "x3@\xfe\x02" },
	{ "codes.dat", "\x01://u:Z1k9Q2m7\x05" "T4w8x3b@h\x02" },
	{ "train.log", "2026-01-02 10:00:00 INFO epoch 1 loss=0.693 token_accuracy=0.51 tokens/s: 12034\n"
		       "2026-01-02 10:00:01 INFO key=encoder.layer.0 session=train seed: 7\n"
		       "downloading https://example.org/data/mnist.tar.gz?version=3 to ~/.cache\n"
		       "Authorization: not required\nconnected to redis://localhost:6379/0\n" },
	{ "stdout.txt", "step 100/2000 | lr 3.0e-04 | loss 2.3026 | pass 1\nPassword-protected archives are skipped\nremote: https://github.com/a/b@v1\n" },
	{ "data.csv", "id,token,password_length,key\n1,the,8,abc\n2,secret,12,def\nhttps://user:password@example.org/,x,1,y\n" },
	{ "train.py", "import os\n\ndef login(user, password=None, token=\"\"):\n    url = \"https://user:password@example.org\"\n    auth = os.environ.get(\"API_KEY\", \"changeme\")\n"
		      "    headers = {\"Authorization\": f\"Bearer {token}\"}\n    return requests.get(url, headers=headers, auth=(user, password))\n" },
	{ "README.md", "Run `curl -H \"Authorization: Bearer $TOKEN\" https://example.org` or set `password: YOUR_PASSWORD`.\n\n    export API_KEY=<your key>\n    postgresql://user:pass@host/db\n" },
	{ "run.sh", "#!/bin/sh\n# usage: run.sh --token TOKEN --password <password> [--pin=PIN]\nset -eu\npassword=$1\ntoken=\"${2:?no token}\"\nkey=$(cat \"$HOME/.key\")\nexport API_KEY=\"$key\"\n"
		    "curl -u \"$user:$password\" -H \"Authorization: Bearer $token\" --pwd \"$password\" https://example.org/x\nmkdir -p out/a && docker login --password-stdin < file\n"
		    "for seed in 1 2 3; do python3 train.py --seed \"$seed\" --key_dim 64 --pin-memory true; done\necho \"Password: \"\nread -r secret\n"
		    "while getopts p:t: opt; do case $opt in p) password=$OPTARG ;; esac; done\nsingularity exec --pwd /workspace/job image.sif python train.py\n" },
	{ "job.sbatch", "#!/bin/bash\n#SBATCH --job-name=train\n#SBATCH --gres=gpu:1\n#SBATCH --account=team\nmodule load cuda/12.1\nexport OMP_NUM_THREADS=4 TOKENIZERS_PARALLELISM=false\n"
			"srun python train.py --max_tokens 512 --pad_token '<pad>' --lr 3e-4\n" },
	{ "Dockerfile", "FROM pytorch/pytorch:2.1.0\nARG TOKEN\nENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1\nRUN --mount=type=secret,id=hf_token pip install -r requirements.txt\nCOPY . /app\n" },
	{ "Makefile", "CC = gcc\nCFLAGS = -O2\nall: main.o\n\t$(CC) -o main main.o\nsecrets: ; @echo none\n" },
	{ "config.yaml", "model: {name: bert, key_dim: 64}\nmax_tokens: 512\npad_token: <pad>\ntokenizer: {bos_token: <s>, eos_token: </s>}\nsession: train\nauth: none\npin_memory: true\n"
			 "password: ${DB_PASSWORD}\ntoken: {{ token }}\nseed: 1\n" },
	{ "vocab.json", "{\"the\": 1, \"password\": 4312, \"secret\": 77, \"token\": 3, \"key\": 9}" },
	{ "annotation.xml", "<?xml version=\"1.0\"?>\n<annotation><object><name>dog</name><bndbox><xmin>1</xmin></bndbox></object>\n<sentence><token id=\"1\">The</token><token id=\"2\">quick</token></sentence>\n"
			    "<key>width</key><integer>5</integer></annotation>\n" },
	{ "pom.xml", "<project><properties><db.password>${env.DB_PASSWORD}</db.password><passwordEncoder/></properties></project>\n" },
	{ "login.html", "<form><label for=\"password\">Password</label><input name=\"password\" type=\"password\" value=\"\"></form>\n" },
	{ "requirements", "numpy==1.26.0\ntorch>=2.1\nsecretstorage==3.3.3\ntoken-utils==0.1.8\n" },
	{ "openssl.cnf", "[ req ]\ndefault_bits = 2048\n# input_password = secret\nattributes = req_attributes\n[ req_attributes ]\nchallengePassword = A challenge password\n"
			 "challengePassword_min = 4\n[ client_cert ]\nbasicConstraints = CA:FALSE\n[insta]\nsecret = pass:insta # for both sides\n" },
	{ "hosts", "127.0.0.1 localhost\n::1 ip6-localhost\n" },
	{ "settings", "lr = 0.1\nmonkey = banana\nsession = 3\nkeys = a, b\nmax_tokens = 512\n" },
	{ ".bashrc", "alias ll='ls -l'\nexport PATH=$PATH:$HOME/bin\nexport HISTCONTROL=ignoredups\nPS1='\\u@\\h:\\w\\$ '\n[ -f ~/.token ] && export TOKEN=$(cat ~/.token)\n" },
	{ "analysis.R", "library(DBI)\ncon <- dbConnect(drv, user = \"me\", password = Sys.getenv(\"PW\"))\nset.seed(1)\n" },
	{ "script", "#!/usr/bin/perl\nmy $password = shift;\nprint \"Authorization: Basic \", encode($password);\n" },
};
