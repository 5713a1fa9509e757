// The list, page by page, as fast as it is read and no faster.
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import type { Logins } from './logins'
import { pageWriter } from './text'

export const PAGE = 512 // companies

const writePage = pageWriter(PAGE)
const deflate = promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.deflateRaw)

export function list(logins: Logins, request: Request): Response {
  const gzip = request.headers.get('accept-encoding')?.includes('gzip') ?? false
  const chunks = gzip ? compressed(pages(logins)) : pages(logins)
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await chunks.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await chunks.return()
    },
  })
  const headers = { 'content-type': 'application/json', vary: 'Accept-Encoding' }
  return new Response(body, { headers: gzip ? { ...headers, 'content-encoding': 'gzip' } : headers })
}

type Chunks = AsyncGenerator<Uint8Array, void, void>

async function * pages(logins: Logins): Chunks {
  yield Buffer.from('{"virksomheder":[')
  for (let from = 0; ;) {
    const companies = logins.page(from)
    const page = writePage(companies)
    // No comma before the first.
    if (companies.length > 0) yield from === 0 ? page.subarray(1) : page
    if (companies.length < PAGE) break
    from = companies[PAGE - 1]![0] + 1
    // Other calls first.
    await new Promise(setImmediate)
  }
  yield Buffer.from(']}')
}

/**
 * One gzip member (RFC 1952). Each chunk is compressed by itself in Bun's thread pool, and ends on a byte, so that the
 * next can follow; checksum and length come last.
 */
async function * compressed(chunks: Chunks): Chunks {
  yield Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255)
  let [checksum, length] = [0, 0]
  for await (const chunk of chunks) {
    checksum = zlib.crc32(chunk, checksum)
    length += chunk.length
    yield await deflate(chunk, { level: zlib.constants.Z_BEST_SPEED, finishFlush: zlib.constants.Z_SYNC_FLUSH })
  }
  const end = Buffer.alloc(10)
  end.writeUInt16LE(0x0003) // the last block, empty
  end.writeUInt32LE(checksum, 2)
  end.writeUInt32LE(length % 2 ** 32, 6)
  yield end
}
