// What scripts find in their context: Tyk's names (TykJS, log, b64enc, TykMakeHttpRequest, …), and how the gateway calls them.
// `__host(name, arguments as JSON)` asks the gateway. On the event loop there is none: what would ask leaves the run, which is
// then repeated beside the loop.
(function (global) {
  const parse = JSON.parse, write = JSON.stringify, Text = String, host = global.__host, limits = global.__limits
  const Internal = global.InternalError
  const entries = []
  const MOST_LOGS = 100, LONGEST_LOG = 2000
  let logs = [], left = "", config = {}, given = false
  delete global.__host
  delete global.__limits

  function leave(why) {
    left = left || why
    throw new Error(why + " is for calls, not for loading a file")
  }

  function ask(name, args) {
    if (!host) leave(name)
    const answer = parse(host(name, write(args)))
    if (answer.error) logged("error", name + ": " + answer.error)
    return answer.value === null ? undefined : answer.value
  }

  function logged(level, message) {
    if (logs.length < MOST_LOGS) logs.push([level, Text(message).slice(0, LONGEST_LOG)])
  }

  global.log = function (message) { logged("info", message) }
  global.rawlog = function (message) { logged("info", message) }
  global.console = { log: global.log, error: global.log, warn: global.log, info: global.log, debug: global.log }

  // Base64 of the UTF-8 of a text, as Go's.
  const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  const VALUES = {}
  for (let i = 0; i < 64; i++) VALUES[DIGITS[i]] = i

  function encode(text, padding) {
    text = unescape(encodeURIComponent(Text(text).replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd")))
    const out = []
    for (let i = 0; i < text.length; i += 3) {
      const a = text.charCodeAt(i), b = text.charCodeAt(i + 1), c = text.charCodeAt(i + 2)
      out.push(DIGITS[a >> 2], DIGITS[((a & 3) << 4) | (b >> 4)])
      if (i + 1 < text.length) out.push(DIGITS[((b & 15) << 2) | (c >> 6)])
      else if (padding) out.push("=")
      if (i + 2 < text.length) out.push(DIGITS[c & 63])
      else if (padding) out.push("=")
    }
    return out.join("")
  }

  function decode(text, padded) {
    text = Text(text)
    let end = text.length
    if (padded) while (end > 0 && text[end - 1] === "=" && text.length - end < 2) end--
    if (end % 4 === 1) return undefined
    const out = []
    let bits = 0, held = 0
    for (let i = 0; i < end; i++) {
      const value = VALUES[text[i]]
      if (value === undefined) {
        if (text[i] === "\n" || text[i] === "\r") continue
        logged("error", "the text is not base64")
        return undefined
      }
      bits = ((bits << 6) | value) & 0xffff
      held += 6
      if (held >= 8) { held -= 8; out.push(Text.fromCharCode((bits >> held) & 255)) }
    }
    const bytes = out.join("")
    try { return decodeURIComponent(escape(bytes)) } catch (error) { return bytes }
  }

  global.b64enc = function (text) { return encode(text, true) }
  global.b64dec = function (text) { return decode(text, true) }
  global.rawb64enc = function (text) { return encode(text, false) }
  global.rawb64dec = function (text) { return decode(text, false) }

  global.TykMakeHttpRequest = function (request) { return ask("TykMakeHttpRequest", [Text(request)]) }
  global.TykBatchRequest = function (requests) { return ask("TykBatchRequest", [Text(requests)]) }
  global.TykGetKeyData = function (key, api) { return ask("TykGetKeyData", [Text(key), Text(api)]) }
  global.TykSetKeyData = function (key, session, noReset) { return ask("TykSetKeyData", [Text(key), Text(session), Text(noReset)]) }
  global.TykJsResponse = function (response, meta) { return write({ Response: response, SessionMeta: meta }) }

  function Middleware(configuration) { this.configuration = configuration }
  Middleware.prototype.NewProcessRequest = function (callback) { this.ProcessRequest = callback }
  Middleware.prototype.NewProcessResponse = function (callback) { this.ProcessResponse = callback }
  Middleware.prototype.ReturnData = function (request, meta) { return { Request: request, SessionMeta: meta } }
  Middleware.prototype.ReturnAuthData = function (request, session) { return { Request: request, Session: session } }
  Middleware.prototype.ReturnResponseData = function (response, meta) { return { Response: response, SessionMeta: meta } }
  function Handler() {}
  Handler.prototype.NewHandler = function (callback) { this.Handle = callback }
  global.TykJS = {
    TykMiddleware: { NewMiddleware: Middleware, MiddlewareComponentMeta: Middleware },
    TykEventHandlers: { NewEventHandler: Handler, EventHandlerComponentMeta: Handler },
  }

  // The engine cannot be interrupted in a built-in function. On the loop none runs on what may take it long: the run is left before.
  if (limits) {
    const exec = RegExp.prototype.exec, source = Object.getOwnPropertyDescriptor(RegExp.prototype, "source").get, known = new Map()
    const call = Function.prototype.call.bind(Function.prototype.call), apply = Reflect.apply
    const get = Map.prototype.get, keep = Map.prototype.set, floor = Math.floor, pow = Math.pow, max = Math.max
    const LONGEST_PATTERN = 1000, DEEPEST = 50, WIDEST = 8
    const LONGEST_ARRAY = 8192, LONGEST_SEARCH = 16 * limits.steps

    // An upper bound of what a pattern takes on a text of n characters: ways * n^loops * base^n.
    // Alternatives add their ways, what follows one another multiplies them; a repeated group may share out its text in base^n ways.
    function cost(pattern) {
      let at = 0, depth = 0
      function bounds() {
        const start = at, mark = pattern[at++]
        if (mark === "*") return [0, Infinity]
        if (mark === "+") return [1, Infinity]
        if (mark === "?") return [0, 1]
        if (mark === "{") {
          const numbers = [""]
          for (; at < pattern.length && pattern[at] !== "}"; at++) {
            if (pattern[at] === "," && numbers.length === 1) numbers[1] = ""
            else if (pattern[at] >= "0" && pattern[at] <= "9") numbers[numbers.length - 1] += pattern[at]
            else break
          }
          if (pattern[at] === "}" && numbers[0]) {
            at++
            return [+numbers[0], numbers.length === 1 ? +numbers[0] : numbers[1] ? +numbers[1] : Infinity]
          }
        }
        at = start
        return null
      }
      function atom() {
        const sign = pattern[at++]
        if (sign === "\\") {
          const next = pattern[at++]
          return [1, next === "k" || (next >= "1" && next <= "9") ? 1 : 0, 1]  // what it refers to is as long as the text
        }
        if (sign === "[") {
          while (at < pattern.length && pattern[at] !== "]") at += pattern[at] === "\\" ? 2 : 1
          at++
        }
        if (sign !== "(") return [1, 0, 1]
        const found = alternatives()
        at++
        return found
      }
      function repeated() {
        const single = pattern[at] !== "(", one = atom(), found = bounds()
        if (!found) return one
        if (pattern[at] === "?") at++
        const low = found[0], high = found[1], ways = one[0], loops = one[1], base = one[2], plain = ways === 1 && !loops && base === 1
        if (plain && (high === Infinity || high - low > WIDEST)) return [1, 1, 1]
        if (single && low === high && high <= LONGEST_PATTERN) return one
        if (high === Infinity) return [max(low, 1), 1, base * ways * (1 + loops)]
        return [max(high, (high - low + 1) * pow(ways, high)), loops * high, base]
      }
      function sequence() {
        let ways = 1, loops = 0, base = 1
        while (at < pattern.length && pattern[at] !== "|" && pattern[at] !== ")") {
          const one = repeated()
          ways *= one[0]
          loops += one[1]
          base = max(base, one[2])
        }
        return [ways, loops, base]
      }
      function alternatives() {
        if (++depth > DEEPEST) return [Infinity, 0, 1]
        const found = sequence()
        while (pattern[at] === "|") {
          at++
          const one = sequence()
          found[0] += one[0]
          found[1] = max(found[1], one[1])
          found[2] = max(found[2], one[2])
        }
        depth--
        return found
      }
      return alternatives()
    }

    function longest(pattern) {
      if (pattern.length > LONGEST_PATTERN) return -1
      const found = cost(pattern), ways = found[0], loops = found[1] + 1, base = found[2]  // it may begin at each character
      if (!(ways <= limits.steps)) return -1
      if (base === 1) return floor(pow(limits.steps / ways, 1 / loops))
      let most = 0
      while (ways * pow(most + 1, loops) * pow(base, most + 1) <= limits.steps) most++
      return most
    }

    RegExp.prototype.exec = function (text) {
      text = Text(text)
      const pattern = call(source, this)
      let most = call(get, known, pattern)
      if (most === undefined) {
        most = longest(pattern)
        if (known.size < 1000) call(keep, known, pattern, most)
      }
      if (text.length > most) leave("a regular expression")
      return call(exec, this, text)
    }

    function guard(object, name, isLong, why) {
      const own = object[name]
      Object.defineProperty(object, name, {
        value: { [name](...given) {
          if (isLong(this, given)) leave(why)
          return apply(own, this, given)
        } }[name],
        writable: true, enumerable: false, configurable: true,
      })
    }
    function isWide(value) { return value !== null && typeof value === "object" && value.length > LONGEST_ARRAY }
    for (const object of [Array.prototype, Object.getPrototypeOf(Uint8Array.prototype)]) {
      for (const name of Object.getOwnPropertyNames(object)) {
        const own = Object.getOwnPropertyDescriptor(object, name).value
        if (typeof own !== "function" || name === "constructor" || name === "push" || name === "pop") continue
        guard(object, name, name === "concat" ? function (own, given) {
          for (let i = 0; i < given.length; i++) if (isWide(given[i])) return true
          return isWide(own)
        } : isWide, "a large array")
      }
    }
    guard(JSON, "stringify", function (own, given) { return isWide(given[0]) }, "a large array")
    function takesLong(own, given) {
      return typeof given[0] === "string" && given[0].length > 1 && Text(own).length * given[0].length > LONGEST_SEARCH
    }
    for (const name of ["indexOf", "lastIndexOf", "includes", "split", "replace", "replaceAll"]) {
      if (String.prototype[name]) guard(String.prototype, name, takesLong, "a long search")
    }
  }

  // How the gateway calls.
  const bridge = {}
  const METHODS = { event: "Handle", response: "ProcessResponse" }
  bridge.config = function (text) { config = parse(text) }
  bridge.bind = function (kind, value) {
    const is = kind === "virtual" ? typeof value === "function" : value && typeof value[METHODS[kind] || "ProcessRequest"] === "function"
    if (is) entries.push([kind, value])
    return Boolean(is)
  }

  function strings(object) {
    const out = {}
    if (object) for (const name of Object.keys(object)) if (object[name] !== undefined && object[name] !== null) out[name] = Text(object[name])
    return out
  }

  function changes(url, body, returned, out) {
    if (!returned || typeof returned !== "object" || !returned.Request || typeof returned.Request !== "object") {
      out.fault = "the script did not return ReturnData(request, …)"
      return
    }
    const request = returned.Request, over = request.ReturnOverrides
    let name
    for (name in request.SetHeaders) { out.set = strings(request.SetHeaders); break }
    if (request.DeleteHeaders && request.DeleteHeaders.length) out.del = Array.from(request.DeleteHeaders, Text)
    for (name in request.AddParams) { out.add = strings(request.AddParams); break }
    for (name in request.ExtendedParams) {
      out.more = {}
      for (name in request.ExtendedParams) out.more[name] = Array.from(request.ExtendedParams[name], Text)
      break
    }
    if (request.DeleteParams && request.DeleteParams.length) out.cut = Array.from(request.DeleteParams, Text)
    if (request.URL !== url) out.url = Text(request.URL)
    if (!request.IgnoreBody && request.Body !== body) {
      out.body = request.Body === undefined || request.Body === null ? "" : typeof request.Body === "string" ? request.Body : write(request.Body)
    }
    if (over && (over.ResponseCode || over.ResponseError)) {
      out.over = { code: over.ResponseCode, error: over.ResponseError, body: over.ResponseBody, go_on: over.OverrideError, headers: strings(over.ResponseHeaders) }
    }
    meta(returned, out)
  }

  function who(returned, out) {
    if (out.fault || out.over) return
    if (!returned.Session || typeof returned.Session !== "object") out.fault = "the script did not return ReturnAuthData(request, session)"
    else {
      out.session = returned.Session
      if (returned.AuthValue) out.who = Text(returned.AuthValue)
    }
  }

  function answered(body, returned, out) {
    const response = returned && returned.Response
    if (!response || typeof response !== "object") {
      out.fault = "the script did not return ReturnResponseData(response, …)"
      return
    }
    let name
    out.status = response.StatusCode
    for (name in response.SetHeaders) { out.set = strings(response.SetHeaders); break }
    if (response.DeleteHeaders && response.DeleteHeaders.length) out.del = Array.from(response.DeleteHeaders, Text)
    if (response.Body !== body) {
      out.body = response.Body === undefined || response.Body === null ? "" : typeof response.Body === "string" ? response.Body : write(response.Body)
    }
  }

  function meta(returned, out) {
    if (given && returned.SessionMeta && typeof returned.SessionMeta === "object") out.meta = returned.SessionMeta
  }

  bridge.run = function (index, requestText, sessionText) {
    const kind = entries[index][0], script = entries[index][1], out = {}
    logs = []
    left = ""
    try {
      const request = parse(requestText)
      given = sessionText !== ""
      const session = given ? parse(sessionText) : { meta_data: {} }
      if (kind === "event") script.Handle(request, session)
      else if (kind === "response") {
        const response = request.Response, body = response.Body
        response.SetHeaders = {}
        response.DeleteHeaders = []
        answered(body, script.ProcessResponse(response, request.Request, session, config), out)
      }
      else if (kind === "virtual") {
        const returned = script(request, session, config)
        const answer = typeof returned === "string" ? parse(returned) : returned
        if (!answer || !answer.Response || typeof answer.Response !== "object") out.fault = "the function did not return TykJsResponse(response, …)"
        else {
          const body = answer.Response.Body
          out.answer = { code: answer.Response.Code, headers: strings(answer.Response.Headers), body: body === undefined || body === null ? "" : typeof body === "string" ? body : write(body) }
          meta(answer, out)
        }
      } else {
        const url = request.URL, body = request.Body
        request.SetHeaders = {}
        request.DeleteHeaders = []
        request.AddParams = {}
        request.ExtendedParams = {}
        request.DeleteParams = []
        request.ReturnOverrides = { ResponseCode: 0, ResponseError: "", ResponseBody: "", ResponseHeaders: {}, OverrideError: false }
        request.IgnoreBody = false
        const returned = script.ProcessRequest(request, session, config)
        changes(url, body, returned, out)
        if (kind === "auth_check") who(returned, out)
      }
    } catch (error) {
      // null: there was no memory for an error. A context that is full stays so, whoever calls next: it is given up.
      if (error === null || (error instanceof Internal && error.message === "out of memory")) throw error
      if (!left) out.fault = (Text(error) + (error && error.stack ? "\n" + error.stack : "")).slice(0, 500)
    }
    if (left) return write({ left: left })
    if (logs.length) out.logs = logs
    return write(out)
  }
  global.__bridge = bridge
})(globalThis)
