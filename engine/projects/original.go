// SPDX-License-Identifier: AGPL-3.0-or-later

package projects

import (
	"crypto/sha256"
	"math/big"
	"strings"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/engine/fault"
)

// projectSaltPurpose is what salts of the original ADIT are sealed for.
const projectSaltPurpose = "project salt"

// originalPseudonym returns the pseudonym that the original ADIT derives for a patient in a mass transfer of linking
// mode: the SHA-256 of salt and Patient ID as one number, most significant byte first, whose fourteen lowest digits to
// the base 36 are written from the lowest one on.
func originalPseudonym(salt, patientID string) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	const length = 14
	sum := sha256.Sum256([]byte(salt + patientID))
	number, base, digit := new(big.Int).SetBytes(sum[:]), big.NewInt(int64(len(digits))), new(big.Int)
	var out [length]byte
	for i := range out {
		number.QuoRem(number, base, digit)
		out[i] = digits[digit.Int64()]
	}
	return string(out[:])
}

// DerivedPseudonym returns the pseudonym of a patient who has none yet: by the project's key, or as the original ADIT
// did where the project goes on from it. Whoever has no Patient ID gets one by the key: the original would give all of
// them the same.
func (svc *Service) DerivedPseudonym(
	sealedSalt []byte, key deid.Key, patient deid.Identity, patientID string,
) (string, error) {
	if patientID = strings.TrimRight(patientID, " \x00"); len(sealedSalt) == 0 || patientID == "" {
		return key.Pseudonym(patient), nil
	}
	salt, err := svc.People.Open(projectSaltPurpose, sealedSalt)
	if err != nil {
		return "", fault.Permanent(
			"The salt of the job's project can't be decrypted; start ADIT with the server key that encrypted it.",
		)
	}
	return originalPseudonym(string(salt), patientID), nil
}
