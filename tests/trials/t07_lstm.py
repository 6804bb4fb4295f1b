# An LSTM that adds up a sequence; seeded. out: log.jsonl, model.pt
import json, os, sys, torch
out = sys.argv[1]; os.makedirs(out, exist_ok=True); torch.manual_seed(7)
lstm, head = torch.nn.LSTM(4, 24, batch_first=True), torch.nn.Linear(24, 1)
opt = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.01)
X = torch.randn(256, 12, 4); y = X.sum((1, 2)).unsqueeze(1)
with open(os.path.join(out, "log.jsonl"), "w") as f:
    for step in range(15):
        opt.zero_grad(); loss = ((head(lstm(X)[0][:, -1]) - y) ** 2).mean(); loss.backward(); opt.step()
        f.write(json.dumps({"step": step, "loss": loss.item()}) + "\n")
torch.save({"lstm": lstm.state_dict(), "head": head.state_dict()}, os.path.join(out, "model.pt"))
