// The contract's JSON. In the list a company has a fixed width: a template is copied, and its digits are filled in.

/** Number, first and last login; these in milliseconds since 1970. */
export type Company = [cvr: number, first: number, last: number]

const TEMPLATE = ',{"cvrNummer":"00000000","tidligsteLoginTidspunkt":"0000-00-00T00:00:00.000Z","senesteLogintidspunkt":"0000-00-00T00:00:00.000Z"}'
const WIDTH = TEMPLATE.length
const DAY = 86_400_000
const CVR = /^[0-9]{8}$/

export const iso = (millis: number) => new Date(millis).toISOString()

/** Eight digits, or nothing. */
export const parseCvr = (text: unknown) => (typeof text === 'string' && CVR.test(text) ? text : undefined)

export function one(cvr: string, first: number, last: number): string {
  return `{"VirksomhedsLoginDto":{"cvrNummer":"${cvr}","tidligsteLoginTidspunkt":"${iso(first)}","senesteLogintidspunkt":"${iso(last)}"}}`
}

/** Writes pages of so many companies at most, each company with a comma before it. */
export function pageWriter(most: number): (companies: Company[]) => Uint8Array<ArrayBuffer> {
  const blank = new TextEncoder().encode(TEMPLATE.repeat(most))
  return companies => {
    const page = blank.slice(0, companies.length * WIDTH)
    companies.forEach(([cvr, first, last], number) => {
      const at = number * WIDTH
      writeDigits(page, at + 15, 8, cvr)
      writeTime(page, at + 52, first)
      writeTime(page, at + 103, last)
    })
    return page
  }
}

/** The date by Neri and Schneider, "Euclidean affine functions" (2022), figure 12; all numbers are exact in a double. */
function writeTime(page: Uint8Array, at: number, millis: number) {
  const days = Math.floor(millis / DAY)
  const rest = millis - days * DAY
  const quarters = 4 * (days + 719_468) + 3
  const century = (quarters / 146_097) | 0
  const product = 2_939_745 * (4 * (((quarters % 146_097) / 4) | 0) + 3)
  const yearOfCentury = Math.floor(product / 2 ** 32)
  const dayOfYear = ((product - yearOfCentury * 2 ** 32) / 2_939_745 / 4) | 0
  const monthAndDay = 2_141 * dayOfYear + 197_913
  const next = dayOfYear >= 306 ? 1 : 0 // the year of the algorithm begins in March
  writeDigits(page, at, 4, 100 * century + yearOfCentury + next)
  writeDigits(page, at + 5, 2, (monthAndDay >> 16) - 12 * next)
  writeDigits(page, at + 8, 2, (((monthAndDay & 0xffff) / 2_141) | 0) + 1)
  writeDigits(page, at + 11, 2, (rest / 3_600_000) | 0)
  writeDigits(page, at + 14, 2, ((rest / 60_000) | 0) % 60)
  writeDigits(page, at + 17, 2, ((rest / 1_000) | 0) % 60)
  writeDigits(page, at + 20, 3, rest % 1_000)
}

function writeDigits(page: Uint8Array, at: number, width: number, number: number) {
  for (let place = at + width - 1; place >= at; place--) {
    const tenth = (number / 10) | 0
    page[place] = 48 + number - 10 * tenth
    number = tenth
  }
}
