-- SPDX-License-Identifier: MIT
-- Small objects with methods, and closures, each dropped soon after. Prints the best ms of several runs.
local Point = {}
Point.__index = Point

function Point.new(x, y)
  return setmetatable({x = x, y = y}, Point)
end

function Point:plus(other)
  return Point.new(self.x + other.x, self.y + other.y)
end

local function counter(step)
  local n = 0
  return function() n = n + step; return n end
end

local best = math.huge
for _ = 1, 6 do
  local begin = os.clock()
  local sum, total = Point.new(0, 0), 0
  for i = 1, 20000 do
    sum = sum:plus(Point.new(i, 1))
    local count = counter(i)
    count()
    total = total + count()
  end
  assert(sum.y == 20000 and total == 20000 * 20001)
  best = math.min(best, os.clock() - begin)
end
print(1e3 * best)
