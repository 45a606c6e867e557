-- Which side are we on? Between the two limits nothing is told, and the branch just ends.
local t = tonumber(msg.temperature)
if not t then return nil end
if t > 30 then return "High" end
if t < 25 then return "Normal" end
