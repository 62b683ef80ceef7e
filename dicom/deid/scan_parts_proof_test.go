// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
)

// TestScanFindsWordsOfInstitutions: a word of an institution's name that hardly another has is found by itself; words
// that many have, or that the standard or the vocabulary has, are not, and what a maker's name has is the maker's.
func TestScanFindsWordsOfInstitutions(t *testing.T) {
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	for name, texts := range map[string][]string{
		"Städtisches Klinikum Beispielhausen": {"Beispielhausen", "kopf beispielhausen 3T", "BEISPIELHAUSEN_1"},
		"Exampletown General Infirmary":       {"exampletown protocol", "Exampletown-2"},
		"Universitätsklinikum Mösbach":        {"Mösbach", "Moesbach", "mosbach"},
		"Больница Примерная":                  {"Примерная", "ПРИМЕРНАЯ"},
		"Radiologie, Praxis Dr. Zubrowska":    {"Zubrowska"},
		"Sankt-Beispielius-Krankenhaus":       {"Beispielius"},
	} {
		for _, text := range texts {
			ds := aCT(t)
			require.NoError(t, ds.SetCharset("ISO_IR 192"))
			ds.Set(dict.InstitutionName, name)
			ds.Set(keptText, text)
			require.ErrorContains(t, scanned(t, p, ds), "(0018,9005) still holds an address", "%s: %s", name, text)
		}
	}
	for name, texts := range map[string][]string{
		"Städtisches Klinikum Beispielhausen":  {"Klinikum", "städtisches", "Beispiel", "hausen", "Beispielhausener"},
		"General Hospital of Thorax Medicine":  {"general", "hospital thorax", "Medicine"},
		"Universitätsklinikum":                 {"Universitätsklinikum"},
		"Radiologische Gemeinschaftspraxis 12": {"radiologische", "12"},
		"Siemens Medical Center":               {"Siemens", "medical center"},
		"Clinique Saint Rx":                    {"clinique", "Rx"},
	} {
		for _, text := range texts {
			ds := aCT(t)
			require.NoError(t, ds.SetCharset("ISO_IR 192"))
			ds.Set(dict.InstitutionName, name)
			ds.Set(keptText, text)
			if text != name {
				require.NoError(t, scanned(t, p, ds), "%s: %s", name, text)
			}
		}
	}
	kept := loadProfile(t, "retain-institution-identity")
	ds := aCT(t)
	ds.Set(dict.InstitutionName, "Exampletown General Infirmary")
	ds.Set(keptText, "exampletown protocol")
	require.NoError(t, scanned(t, kept, ds), "what may stay may be said elsewhere")
}

// TestScanFindsDigitsOfIDs: seven digits of an ID or more are found without its letters, and with others.
func TestScanFindsDigitsOfIDs(t *testing.T) {
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	for id, texts := range map[string][]string{
		"QX7781345":  {"7781345", "x 7781345 y", "MRN7781345", "ZZ7781345A"},
		"PL-3391177": {"3391177", "pl3391177", "id:3391177"},
		"A55-120098": {"55120098", "B55120098"},
	} {
		for _, text := range texts {
			ds := aCT(t)
			ds.Set(dict.PatientID, id)
			ds.Set(keptText, text)
			require.ErrorContains(t, scanned(t, p, ds), "(0018,9005) still holds an ID", "%s: %s", id, text)
		}
	}
	for id, text := range map[string]string{
		"QX778134": "778134", "QX7781345": "17781345 77813451", "AB1234567": "1234567", "XX0000000": "0000000",
	} {
		ds := aCT(t)
		ds.Set(dict.PatientID, id)
		ds.Set(keptText, text)
		require.NoError(t, scanned(t, p, ds), "%s: %s", id, text)
	}
}
