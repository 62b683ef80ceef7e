// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"math/bits"
	"strings"

	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
)

// Key is a project's secret. Its pseudonyms derive from it, and the keys of its patients. It never leaves the server.
type Key [32]byte

// PatientKey is the secret that the UIDs, hashed identifiers and dates of one patient derive from. Whoever holds it
// learns nothing of the project's other patients.
type PatientKey [32]byte

// OfPatient returns the key of a patient whose identity is known to the project.
func (k Key) OfPatient(patient Identity) PatientKey { return k.of("patient", string(patient)) }

// OfUpload returns the key of a patient whose identity the project never learns: the pseudonym stands for it.
func (k Key) OfUpload(pseudonym string) PatientKey { return k.of("upload", pseudonym) }

func (k Key) of(label, text string) PatientKey {
	return PatientKey(newDeriver(k).derive(0, label, []byte(text)))
}

// Identity tells patients apart: see PatientIdentity.
type Identity string

// PatientIdentity returns what stands for a patient under a key: Patient ID without blanks around, with the issuer
// configured for its source server; where the instance has no Patient ID, the Study Instance UID stands alone.
func PatientIdentity(patientID, issuer, studyInstanceUID string) Identity {
	if patientID = values.Trim(patientID); patientID != "" {
		// 1F occurs in no Patient ID (PS3.5 6.1.3), so no two pairs are one.
		return Identity(patientID + "\x1f" + values.Trim(issuer))
	}
	return Identity("\x1f\x1f" + values.Trim(studyInstanceUID))
}

// deriver makes keyed values. Every message is: generation (4 bytes, most significant first; 0 for what doesn't
// follow generations), label, a zero byte, the text. Stable for ever: see DESIGN.md.
type deriver struct {
	mac hash.Hash
	buf []byte
	sum [sha256.Size]byte
}

func newDeriver(key [sha256.Size]byte) *deriver { return &deriver{mac: hmac.New(sha256.New, key[:])} }

// derive returns the HMAC of a message; it is valid until the next one.
func (d *deriver) derive(generation uint32, label string, text []byte) []byte {
	d.buf = binary.BigEndian.AppendUint32(d.buf[:0], generation)
	d.buf = append(d.buf, label...)
	d.buf = append(d.buf, 0)
	d.buf = append(d.buf, text...)
	d.mac.Reset()
	_, _ = d.mac.Write(d.buf) // a hash takes everything
	return d.mac.Sum(d.sum[:0])
}

// uid returns the UID that stands for another: 2.25. and a UUID of version 8 (RFC 9562) as a decimal number.
func (d *deriver) uid(generation uint32, original []byte) string {
	sum := d.derive(generation, "uid", original)
	sum[6] = sum[6]&0x0F | 0x80
	sum[8] = sum[8]&0x3F | 0x80
	var b [44]byte
	return string(
		appendDecimal(append(b[:0], "2.25."...), binary.BigEndian.Uint64(sum), binary.BigEndian.Uint64(sum[8:])),
	)
}

// appendDecimal writes a number of 128 bits.
func appendDecimal(b []byte, hi, lo uint64) []byte {
	var digits [39]byte
	i := len(digits)
	for hi != 0 || lo != 0 || i == len(digits) {
		var r uint64
		hi, r = hi/10, hi%10
		lo, r = bits.Div64(r, lo, 10)
		i--
		digits[i] = '0' + byte(r)
	}
	return append(b, digits[i:]...)
}

// The offset of dates, in days.
const (
	earliestOffset = -730
	latestOffset   = -62
)

// dateOffset returns the patient's offset in days, from −730 to −62.
func (d *deriver) dateOffset() int {
	n := binary.BigEndian.Uint64(d.derive(0, "date", nil))
	return earliestOffset + int(n%(latestOffset-earliestOffset+1))
}

// token is the length of what stands for an identifier: it fits the shortest text VR (SH) and holds 72 bits.
const token = 14

func (d *deriver) appendToken(b []byte, label string, text []byte) []byte {
	sum := d.derive(0, label, text)
	hi, lo := binary.BigEndian.Uint64(sum), binary.BigEndian.Uint64(sum[8:])
	for range token {
		var r uint64
		hi, r = hi/36, hi%36
		lo, r = bits.Div64(r, lo, 36)
		b = append(b, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[r])
	}
	return b
}

// Pseudonym returns the pseudonym of a patient for whom nobody chose one: 14 of A–Z and 0–9.
func (k Key) Pseudonym(patient Identity) string {
	return string(newDeriver(k).appendToken(nil, "pseudonym", []byte(patient)))
}

// CheckPseudonym says what is wrong with a pseudonym that somebody gives.
func CheckPseudonym(p string) error {
	switch {
	case p == "" || strings.TrimSpace(p) != p:
		return errors.New("the pseudonym is empty or has blanks around it; give one without")
	case strings.ContainsAny(p, `^=\*?`):
		return errors.New(
			`the pseudonym contains one of the characters ^ = \ * ?, which have a special meaning in DICOM; choose another`,
		)
	}
	return values.CheckText("the pseudonym", p)
}

// CheckPseudonymOf says what is wrong with a pseudonym for one patient: it must neither be nor hold what it is to hide.
func CheckPseudonymOf(patientID, p string) error {
	ids := Identifiers{}
	if ids.addNumber(patientID, dict.PatientID); p == "" || len(ids.list) == 0 {
		return nil
	}
	if _, tells := ids.In(p, false); tells {
		return errors.New(
			"the pseudonym is or contains the patient's own ID, so it would hide nothing; choose another",
		)
	}
	return nil
}
