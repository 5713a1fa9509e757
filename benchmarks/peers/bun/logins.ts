// The logins in SQLite, read by the thread that writes them, between its transactions: what a reader sees is on the disk.
import { Database } from 'bun:sqlite'
import { readFileSync } from 'node:fs'
import { together } from './together'
import type { Company } from './text'

export function openLogins(path: string, companies: string | undefined, pageSize: number) {
  const database = new Database(path)
  database.run('PRAGMA journal_mode = WAL')
  database.run('PRAGMA synchronous = FULL')
  database.run('PRAGMA wal_autocheckpoint = 8000')
  database.run('PRAGMA cache_size = -65536')
  database.run('PRAGMA mmap_size = 1073741824')
  database.run('CREATE TABLE IF NOT EXISTS logins (cvr INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL)')
  if (companies && !database.query('SELECT 1 FROM logins LIMIT 1').get()) fill(database, companies)

  const find = database.query<{ first: number; last: number }, number>('SELECT first, last FROM logins WHERE cvr = ?')
  const page = database.query<unknown, number>(`SELECT cvr, first, last FROM logins WHERE cvr >= ? ORDER BY cvr LIMIT ${pageSize}`)
  const merge = database.query(
    'INSERT INTO logins VALUES (?1, ?2, ?2) ON CONFLICT (cvr) DO UPDATE SET first = min(first, ?2), last = max(last, ?2)')
  const transaction = database.transaction((logins: [cvr: number, time: number][]) => {
    for (const [cvr, time] of logins) merge.run(cvr, time)
  })
  return {
    find: (cvr: number) => find.get(cvr),
    /** The next companies from this number on. */
    page: (from: number) => page.values(from) as Company[],
    /** Ends when the login is on the disk, or fails. All that wait are one transaction. */
    record: together<[cvr: number, time: number]>(logins => transaction.immediate(logins)),
  }
}

export type Logins = ReturnType<typeof openLogins>

/** Each line of a list is `cvr,first,last`. */
function fill(database: Database, companies: string) {
  const insert = database.query('INSERT INTO logins VALUES (?, ?, ?)')
  database.transaction(() => {
    for (const line of readFileSync(companies, 'utf8').trimEnd().split('\n')) {
      const [cvr, first, last] = line.split(',')
      insert.run(Number(cvr), Number(first), Number(last))
    }
  })()
  database.run('PRAGMA wal_checkpoint(TRUNCATE)')
}
