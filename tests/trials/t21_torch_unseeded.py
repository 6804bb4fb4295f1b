# torch without a seed: torch.seed() reads /dev/urandom. out: w.pt
import os, sys, torch
out = sys.argv[1]; os.makedirs(out, exist_ok=True); torch.seed()
net = torch.nn.Linear(16, 4); X = torch.randn(64, 16)
for _ in range(10):
    loss = (net(X) ** 2).mean(); net.zero_grad(); loss.backward()
    with torch.no_grad():
        for p in net.parameters(): p -= 0.1 * p.grad
torch.save(net.state_dict(), os.path.join(out, "w.pt"))
