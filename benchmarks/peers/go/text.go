package main

import "time"

// The contract's JSON. A company has a fixed width: the template is appended, and its digits are filled in.
const (
	listStart = `{"virksomheder":[`
	oneStart  = `{"VirksomhedsLoginDto":`
	template  = `{"cvrNummer":"00000000","tidligsteLoginTidspunkt":"0000-00-00T00:00:00.000Z","senesteLogintidspunkt":"0000-00-00T00:00:00.000Z"}`
	noTime    = "0000-00-00T00:00:00.000Z"
	day       = 86_400_000
)

func appendCompany(text []byte, cvr uint32, s span) []byte {
	at := len(text)
	text = append(text, template...)
	company := text[at:]
	writeDigits(company[14:22], cvr)
	writeTime(company[51:75], s.first)
	writeTime(company[102:126], s.last)
	return text
}

// appendTime appends milliseconds since 1970 in RFC 3339.
func appendTime(text []byte, millis int64) []byte {
	text = append(text, noTime...)
	writeTime(text[len(text)-len(noTime):], millis)
	return text
}

// writeTime fills in the digits of noTime. The date by Neri and Schneider, "Euclidean affine functions" (2022), figure 12.
func writeTime(text []byte, millis int64) {
	days, rest := uint32(millis/day), uint32(millis%day)
	quarters := 4*(days+719_468) + 3
	century, dayOfCentury := quarters/146_097, quarters%146_097/4
	product := 2_939_745 * uint64(4*dayOfCentury+3)
	yearOfCentury, dayOfYear := uint32(product>>32), uint32(product)/2_939_745/4
	monthAndDay := 2_141*dayOfYear + 197_913
	year, month := 100*century+yearOfCentury, monthAndDay>>16
	if dayOfYear >= 306 { // the year of the algorithm begins in March
		year, month = year+1, month-12
	}
	_ = text[23]
	writeDigits(text[0:4], year)
	writeDigits(text[5:7], month)
	writeDigits(text[8:10], monthAndDay&0xffff/2_141+1)
	writeDigits(text[11:13], rest/3_600_000)
	writeDigits(text[14:16], rest/60_000%60)
	writeDigits(text[17:19], rest/1_000%60)
	writeDigits(text[20:23], rest%1_000)
}

func writeDigits(text []byte, number uint32) {
	for at := len(text) - 1; at >= 0; at-- {
		text[at] = byte('0' + number%10)
		number /= 10
	}
}

// parseCvr reads eight digits.
func parseCvr(text string) (number uint32, valid bool) {
	for _, digit := range []byte(text) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		number = number*10 + uint32(digit-'0')
	}
	return number, len(text) == 8
}

// now is in milliseconds since 1970.
func now() int64 { return time.Now().UnixMilli() }
