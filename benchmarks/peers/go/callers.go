package main

import (
	"cmp"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json/v2"
	"math/big"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	leeway      = 30_000 // milliseconds by which the issuer's clock may differ
	latest      = 253_402_300_800_000
	remembered  = 16_384
	longestCode = 20
)

type endpoint int

const (
	getLogin endpoint = iota
	setLogin
	getLogins
	endpoints
)

// rule is what one endpoint asks of a token: a scope, and the access modes of each organisation type as config/access.toml
// is shipped.
type rule struct {
	name, scope string
	modes       map[string][]string
}

var rules = [endpoints]rule{
	getLogin: {"GetLogin", "virksomhedsinstats.login.read", map[string][]string{
		"A-kasse": {"AlleBorgere"}, "JobCenter": {"AlleBorgere", "EgneBorgere", "TidligereEgneBorgere"}, "STAR": {"AlleBorgere"}}},
	setLogin: {"SetLogin", "virksomhedsinstats.login.write", map[string][]string{
		"STAR": {"AlleBorgere"}}},
	getLogins: {"GetLogins", "virksomhedsinstats.login.read", map[string][]string{
		"A-kasse": {"AlleBorgere"}, "JobCenter": {"AlleBorgere", "EgneBorgere"}, "STAR": {"AlleBorgere"}}},
}

// claims are a JSON object whose members may have any type.
type claims map[string]any

func (c claims) text(name string) string {
	value, _ := c[name].(string)
	return value
}

// many is a claim that may be one value or an array.
func (c claims) many(name string) []any {
	if values, isArray := c[name].([]any); isArray {
		return values
	}
	return []any{c[name]}
}

// denied is why these claims may not call an endpoint; nil where they may.
func (r *rule) denied(c claims) *answer {
	if !slices.Contains(strings.Split(c.text("scope"), " "), r.scope) {
		return &noScope
	}
	modes := r.modes[c.text("organisationType")]
	inTable := slices.ContainsFunc(c.many("adgang"), func(mode any) bool {
		name, isText := mode.(string)
		return isText && slices.Contains(modes, name)
	})
	code := utf8.RuneCountInString(c.text("organisationCode"))
	if !inTable || code == 0 || code > longestCode {
		return &noAccess
	}
	return nil
}

type caller struct {
	name   []byte // as JSON
	ends   int64  // milliseconds since 1970
	denied [endpoints]*answer
}

// callers verifies tokens: RS256 by a key set file. A verified token is remembered with what it may call, until it ends or
// others take its place.
type callers struct {
	issuer, audience string
	keys             map[string]*rsa.PublicKey
	lock             sync.RWMutex
	known            map[string]*caller
}

func newCallers(keySet, issuer, audience string) (*callers, error) {
	keys, err := readKeys(keySet)
	return &callers{issuer: issuer, audience: audience, keys: keys, known: make(map[string]*caller, remembered)}, err
}

// readKeys reads those RSA keys of a set that may sign with RS256.
func readKeys(path string) (map[string]*rsa.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct {
			Type      string `json:"kty"`
			Algorithm string `json:"alg"`
			Name      string `json:"kid"`
			Modulus   string `json:"n"`
			Exponent  string `json:"e"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, err
	}
	keys := map[string]*rsa.PublicKey{}
	for _, key := range set.Keys {
		if key.Type != "RSA" || key.Algorithm != "" && key.Algorithm != "RS256" {
			continue
		}
		modulus, modulusErr := base64.RawURLEncoding.DecodeString(key.Modulus)
		exponent, exponentErr := base64.RawURLEncoding.DecodeString(key.Exponent)
		if modulusErr == nil && exponentErr == nil {
			e := new(big.Int).SetBytes(exponent).Int64()
			keys[key.Name] = &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(e)}
		}
	}
	return keys, nil
}

// identify is the caller, where the token is good, and why it may not call this, where it may not.
func (c *callers) identify(request *http.Request, called endpoint) (*caller, *answer) {
	token, isBearer := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
	if !isBearer {
		return nil, &noToken
	}
	c.lock.RLock()
	found := c.known[token]
	c.lock.RUnlock()
	if found == nil || found.ends <= now() {
		if found = c.verify(token); found == nil {
			return nil, &noToken
		}
		c.remember(token, found)
	}
	return found, found.denied[called]
}

func (c *callers) remember(token string, found *caller) {
	c.lock.Lock()
	defer c.lock.Unlock()
	for old := range c.known { // in no order, so that this is a random one
		if len(c.known) >= remembered {
			delete(c.known, old)
		}
		break
	}
	c.known[strings.Clone(token)] = found // not the whole request that it is a part of
}

// verify is the caller that a token names; nil where it is not good.
func (c *callers) verify(token string) *caller {
	signed, signature, _ := cutLast(token, ".")
	head, body, _ := cutLast(signed, ".")
	header, claimed, signatureBytes := object(head), object(body), decoded(signature)
	key := c.keys[header.text("kid")]
	if key == nil || header["alg"] != "RS256" || header["crit"] != nil || claimed == nil {
		return nil
	}
	hash := sha256.Sum256([]byte(signed))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signatureBytes) != nil {
		return nil
	}
	name := cmp.Or(claimed.text("sub"), claimed.text("client_id"))
	if name == "" || claimed["iss"] != c.issuer || !slices.Contains(claimed.many("aud"), any(c.audience)) {
		return nil
	}
	time := float64(now())
	ends, hasEnd := claimed["exp"].(float64)
	ends = ends*1000 + leeway
	begins, hasBegin := claimed["nbf"].(float64)
	if !hasEnd || ends <= time || ends > latest || !hasBegin && claimed["nbf"] != nil || begins*1000-leeway > time {
		return nil
	}
	found := &caller{ends: int64(ends)}
	found.name, _ = json.Marshal(name)
	for called := range rules {
		found.denied[called] = rules[called].denied(claimed)
	}
	return found
}

func cutLast(text, separator string) (before, after string, found bool) {
	if at := strings.LastIndex(text, separator); at >= 0 {
		return text[:at], text[at+len(separator):], true
	}
	return "", text, false
}


// decoded is nil where the part of a token is not base64url.
func decoded(part string) []byte {
	bytes, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil
	}
	return bytes
}

// object is nil where the part of a token is no JSON object.
func object(part string) (members claims) {
	if json.Unmarshal(decoded(part), &members) != nil {
		return nil
	}
	return members
}
