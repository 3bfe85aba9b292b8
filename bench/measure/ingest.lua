-- For wrk: POST batches of records. Arguments: a file with a device token a line, a file with a body a line.
-- Each request takes the next token and the next body, so that no two neighbours are alike.
local tokens, bodies, number, failed = {}, {}, 0, 0

init = function(arguments)
   for line in io.lines(arguments[1]) do tokens[#tokens + 1] = line end
   for line in io.lines(arguments[2]) do bodies[#bodies + 1] = line end
end

request = function()
   number = number + 1
   wrk.headers["Device-Token"] = tokens[number % #tokens + 1]
   wrk.headers["Content-Type"] = "application/json"
   return wrk.format("POST", wrk.path, nil, bodies[number % #bodies + 1])
end
