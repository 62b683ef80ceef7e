// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/adit-go/adit/internal/refusal"
)

const (
	minPassword = 12   // characters
	maxPassword = 1024 // bytes
	minDistinct = 5    // characters of a password that differ
	nameMatters = 4    // shorter names may occur within a password by chance
)

// cost is what a password hash costs. It is kept with each hash, so that it can be raised: a login under an older one
// makes the hash anew.
type cost struct {
	memory uint32 // KiB
	passes uint32
	lanes  uint8
}

// today is what OWASP asks for at the least, with the memory small enough for many logins at once.
var today = cost{memory: 19 << 10, passes: 2, lanes: 1}

// A damaged hash must not cost the server its memory.
var most = cost{memory: 1 << 20, passes: 64, lanes: 64}

const (
	saltBytes = 16
	hashBytes = 32
)

// hasher hashes a few passwords at a time; the next ones wait, and some more are turned away.
type hasher struct {
	slots   chan struct{}
	waiting atomic.Int32
	runs    atomic.Int64 // for tests: the work that was done
}

// maxWaiting is how many callers may wait for a slot: what is hashed in about a second.
const maxWaiting = 32

func newHasher() *hasher {
	return &hasher{slots: make(chan struct{}, min(max(1, runtime.GOMAXPROCS(0)), 4))}
}

func (h *hasher) run(ctx context.Context, password string, salt []byte, c cost) ([]byte, error) {
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return nil, &TooMany{
			Reason: "ADIT is checking too many passwords at once; try again in a moment", RetryAfter: time.Second,
		}
	}
	select {
	case h.slots <- struct{}{}:
		h.waiting.Add(-1)
	case <-ctx.Done():
		h.waiting.Add(-1)
		return nil, ctx.Err()
	}
	defer func() { <-h.slots }()
	h.runs.Add(1)
	return argon2.IDKey([]byte(norm.NFC.String(password)), salt, c.passes, c.memory, c.lanes, hashBytes), nil
}

// hash returns what is kept of a password: argon2id (RFC 9106), in the form $argon2id$v=19$m=…,t=…,p=…$salt$hash.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	sum, err := h.run(ctx, password, salt, today)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf(
		"$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, today.memory,
		today.passes, today.lanes, b64.EncodeToString(salt), b64.EncodeToString(sum),
	), nil
}

// verify reports whether a password is the one of a hash, and whether the hash is to be made anew at today's cost.
// Without a hash the answer is no, after the same work: how long it takes tells nobody which users there are.
func (h *hasher) verify(ctx context.Context, kept *string, password string) (ok, outdated bool, err error) {
	c, salt, sum := today, make([]byte, saltBytes), []byte(nil)
	if kept != nil {
		if c, salt, sum, err = parseHash(*kept); err != nil {
			return false, false, err
		}
	}
	if len(password) > maxPassword { // nobody has such a one
		password = ""
	}
	got, err := h.run(ctx, password, salt, c)
	if err != nil {
		return false, false, err
	}
	return kept != nil && subtle.ConstantTimeCompare(got, sum) == 1, c != today, nil
}

var errDamagedHash = errors.New(
	"the password's hash in the database is damaged; set a new password with adit user password",
)

func parseHash(text string) (c cost, salt, sum []byte, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, errDamagedHash
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.memory, &c.passes, &c.lanes); n != 3 || err != nil {
		return c, nil, nil, errDamagedHash
	}
	if c.memory > most.memory || c.passes == 0 || c.passes > most.passes || c.lanes == 0 || c.lanes > most.lanes {
		return c, nil, nil, errDamagedHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	sum, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(sum) != hashBytes {
		return c, nil, nil, errDamagedHash
	}
	return c, salt, sum, nil
}

// checkPassword says why a password can't be used by somebody of these names.
func checkPassword(password string, names ...string) error {
	lower := strings.ToLower(norm.NFC.String(password))
	switch {
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		return &refusal.Invalid{Field: "password", Reason: "a password must not contain control characters"}
	case utf8.RuneCountInString(lower) < minPassword:
		return &refusal.Invalid{Field: "password", Reason: fmt.Sprintf(
			"a password needs at least %d characters; several words in a row are easy to remember", minPassword,
		)}
	case len(password) > maxPassword:
		return &refusal.Invalid{Field: "password", Reason: fmt.Sprintf("a password may have at most %d bytes", maxPassword)}
	}
	distinct := map[rune]bool{}
	for _, r := range lower {
		distinct[r] = true
	}
	if len(distinct) < minDistinct {
		return &refusal.Invalid{Field: "password", Reason: fmt.Sprintf(
			"it has only %d different characters and is easy to guess; choose another one", len(distinct),
		)}
	}
	if slices.Contains(commonPasswords, lower) {
		return &refusal.Invalid{
			Field:  "password",
			Reason: "it is one of the most common passwords, which attackers try first; choose another one",
		}
	}
	for _, name := range names {
		name = strings.ToLower(norm.NFC.String(name))
		if name == lower || utf8.RuneCountInString(name) >= nameMatters && strings.Contains(lower, name) {
			return &refusal.Invalid{
				Field:  "password",
				Reason: "it contains your username or mail address, which attackers try first; choose another one",
			}
		}
	}
	return nil
}

// commonPasswords are the most common ones of twelve and more characters, as leaks show them.
var commonPasswords = strings.Fields(`123456789012 1234567890123 12345678901234 123456789abc 1234567890abc
	0123456789abc 012345678910 1234567891011 123456123456 123123123123 123412341234 123456654321 987654321098
	987654321012 098765432109 1q2w3e4r5t6y 1q2w3e4r5t6y7u 1q2w3e4r5t6y7u8i 1qaz2wsx3edc 1qaz2wsx3edc4rfv q1w2e3r4t5y6
	q1w2e3r4t5y6u7 qazwsxedcrfv qazwsxedc123 zaq12wsxcde3 zaq1zaq1zaq1 qwertyuiop12 qwertyuiop123 qwertyuiop123456
	qwertyuiop[] qwertyuiopasdf qwertyuiopasdfghjkl qwertyqwerty qwerty123456 qwerty1234567 qwerty12345678
	qwerty123456789 qwertz123456 qwertzuiop12 asdfghjkl123 asdfghjkl1234 asdfghjklqwe asdfasdfasdf asdf1234asdf
	zxcvbnm12345 zxcvbnmasdfg abcdefghijkl abcdefghijklm abcdefghijklmnop abcd12345678 abcdef123456 abc123456789
	abc123abc123 a1b2c3d4e5f6 aa1234567890 password1234 password12345 password123456 password1234567 password12345678
	password123! password2024 password2025 password2026 passwordpassword password@123 p@ssw0rd1234 p@ssword1234
	p@ssw0rd12345 passw0rd1234 mypassword12 mypassword123 newpassword1 newpassword123 changeme1234 changeme12345
	changemenow1 letmein12345 letmein123456 letmeinplease iloveyou1234 iloveyou12345 iloveyou123456 iloveyouforever
	ilovemyfamily welcome12345 welcome123456 willkommen123 willkommen12 passwort1234 passwort12345 passwort123456
	passwortpasswort hallohallo12 hallo1234567 sonnenschein schatz123456 administrator administrator1 administrator123
	admin1234567 admin12345678 admin123456789 adminadmin12 adminadminadmin adminpassword rootpassword superuser123
	superpassword testpassword testtesttest test12345678 test123456789 demodemodemo radiology123 radiologie123
	radiologyradiology hospital1234 krankenhaus1 krankenhaus123 dicomdicom12 dicomdicomdicom aditaditadit aditaditadit1
	orthancorthanc pacspacspacs correcthorsebatterystaple trustno1trustno1 monkeymonkey dragondragon footballfootball
	baseball1234 basketball12 basketball123 manchester123 liverpool1234 chocolate1234 sunshine1234 princess1234
	computer1234 internet1234 michael12345 jennifer1234 alexander123 christopher1 november2024 september2025`)
