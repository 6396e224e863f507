DROP TABLE sti_repair_log;
