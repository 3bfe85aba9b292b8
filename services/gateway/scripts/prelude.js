// What scripts find in their context: Tyk's names (TykJS, log, b64enc, TykMakeHttpRequest, …), and how the gateway calls them.
// `__host(name, arguments as JSON)` asks the gateway. On the event loop there is none: what would ask leaves the run, which is
// then repeated beside the loop.
(function (global) {
  const parse = JSON.parse, write = JSON.stringify, Text = String, host = global.__host, limits = global.__limits
  const has = Object.prototype.hasOwnProperty
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

  // The engine cannot be interrupted in a regular expression. On the loop one runs only on a text for which it must end soon:
  // n characters and k quantifiers without an end of their own take at most n^(k+1) steps; a repeated group may take 2^n.
  if (limits) {
    const exec = RegExp.prototype.exec, source = Object.getOwnPropertyDescriptor(RegExp.prototype, "source").get, known = new Map()
    const rest = /\\[\s\S]|\[(?:\\[\s\S]|[^\]\\])*\]/g, replace = RegExp.prototype[Symbol.replace], found = RegExp.prototype[Symbol.match]
    const call = Function.prototype.call.bind(Function.prototype.call)
    const longest = function (pattern) {
      // Its own expressions have short texts: the source of a pattern of the script.
      const bare = call(replace, rest, pattern, "x")
      const loops = (call(found, /[*+]|\{\d+,?\d*\}/g, bare) || []).length, choices = (call(found, /[^(*+?}]\?/g, bare) || []).length
      if (pattern.length > 1000 || call(found, /\)[*+{]|\(\?<?[=!]|\\[1-9k]/, bare + pattern) || choices > 8) return 16
      return loops ? Math.floor(Math.pow(limits.steps, 1 / (loops + 1))) : limits.steps
    }
    let busy = false
    RegExp.prototype.exec = function (text) {
      if (busy) return call(exec, this, text)
      text = Text(text)
      const pattern = call(source, this)
      let most = known.get(pattern)
      if (most === undefined) {
        busy = true
        try { most = longest(pattern) } finally { busy = false }
        if (known.size < 1000) known.set(pattern, most)
      }
      if (text.length > most) leave("a regular expression")
      return call(exec, this, text)
    }
  }

  // How the gateway calls.
  const bridge = {}
  bridge.config = function (text) { config = parse(text) }
  bridge.bind = function (kind, value) {
    const is = kind === "virtual" ? typeof value === "function"
      : value && typeof value[kind === "event" ? "Handle" : "ProcessRequest"] === "function"
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
        changes(url, body, script.ProcessRequest(request, session, config), out)
      }
    } catch (error) {
      // null: there was no memory for an error
      if (!left) out.fault = error === null ? "out of memory" : (Text(error) + (error && error.stack ? "\n" + error.stack : "")).slice(0, 500)
    }
    if (left) return write({ left: left })
    if (logs.length) out.logs = logs
    return write(out)
  }
  global.__bridge = bridge
})(globalThis)
