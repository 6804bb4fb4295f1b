// Verifies NAME.sigstore.json with Sigstore's own verifier, given the log's key (trusted_root.json) and the signer's (NAME.key.pem).
//
// usage: node verify.mjs NAME...
import { createHash, createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { bundleFromJSON } from '@sigstore/bundle'
import { TrustedRoot } from '@sigstore/protobuf-specs'
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify'

const root = TrustedRoot.fromJSON(JSON.parse(readFileSync('trusted_root.json')))
for (const name of process.argv.slice(2)) {
  const key = createPublicKey(readFileSync(`${name}.key.pem`))
  const keyid = createHash('sha256').update(key.export({ type: 'spki', format: 'der' })).digest('hex')
  const bundle = bundleFromJSON(JSON.parse(readFileSync(`${name}.sigstore.json`)))
  const trust = toTrustMaterial(root, (hint) => {
    if (hint !== keyid) throw new Error(`the bundle is signed by ${hint}, not by ${keyid}`)
    return { publicKey: key, validFor: () => true }
  })
  new Verifier(trust, { tlogThreshold: 1, ctlogThreshold: 0, timestampThreshold: 0 }).verify(toSignedEntity(bundle))
  console.log(`${name}: Sigstore's verifier takes the bundle`)
}
