-- For wrk: every request asks for another query and brings a header of its own, so that nothing can be remembered from the one before.
local number = 0

request = function()
   number = number + 1
   wrk.headers["Traceparent"] = string.format("00-%032x-%016x-01", number, number)
   return wrk.format("GET", wrk.path .. "?n=" .. number)
end
